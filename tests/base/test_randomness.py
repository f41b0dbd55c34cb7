"""Named streams: fixed values, independence, and the switches of determinism."""

import os

import numpy as np
import pytest
import torch

from certifuse.base.randomness import (
    derive_seed,
    initialising,
    make_deterministic,
    numpy_stream,
    seed_layers,
    torch_stream,
)


def test_seeds_never_change():
    """A change here would change every result there is."""
    assert derive_seed(0) == 3456079177858693020
    assert derive_seed(0, "fusion") == 3344913770598540147
    assert derive_seed(7, "augment", 3) == 1478709866750534442


def test_seeds_are_63_bits_and_differ():
    purposes = [(seed, *purpose) for seed in range(3) for purpose in ((), ("a",), ("a", "b"), ("ab",), ("a", 1), (1,))]
    seeds = [derive_seed(*purpose) for purpose in purposes]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_names_are_kept_apart():
    assert derive_seed(1, "2", "3") != derive_seed(1, "23") != derive_seed(12, "3")


@pytest.mark.parametrize(
    "draw",
    [
        lambda *purpose: numpy_stream(*purpose).random(4).tolist(),
        lambda *purpose: torch.rand(4, generator=torch_stream(*purpose)).tolist(),
    ],
    ids=["numpy", "torch"],
)
def test_streams_are_functions_of_seed_and_purpose(draw):
    assert draw(0, "batches", 1) == draw(0, "batches", 1)
    assert (
        len(
            {
                tuple(draw(*purpose))
                for purpose in ((0, "batches", 1), (0, "batches", 2), (1, "batches", 1), (0, "x", 1))
            }
        )
        == 4
    )


def test_numpy_streams_are_the_same_everywhere():
    assert numpy_stream(0, "batches", 1).permutation(5).tolist() == [0, 4, 1, 2, 3]


def test_streams_leave_global_generators_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    state = np.random.get_state()[1].copy()
    torch.rand(5, generator=torch_stream(1, "a"))
    numpy_stream(1, "a").random(5)
    with initialising(3, "weights"):
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)
    assert (np.random.get_state()[1] == state).all()


def test_weights_are_drawn_from_their_own_stream():
    def drawn(*purpose):
        with initialising(*purpose):
            return torch.nn.Linear(3, 3).weight.detach()

    torch.manual_seed(1)
    first = drawn(0, "expert_0", "weights")
    torch.manual_seed(2)
    assert torch.equal(first, drawn(0, "expert_0", "weights"))
    assert not torch.equal(first, drawn(0, "expert_1", "weights"))


def test_layers_are_seeded():
    seed_layers(0, "layers", 1)
    first = torch.nn.functional.dropout(torch.ones(20), 0.5)
    seed_layers(0, "layers", 1)
    assert torch.equal(first, torch.nn.functional.dropout(torch.ones(20), 0.5))
    seed_layers(0, "layers", 2)
    assert not torch.equal(first, torch.nn.functional.dropout(torch.ones(20), 0.5))


def test_determinism_is_demanded(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    make_deterministic(2)
    assert torch.get_num_threads() == 2
    assert torch.get_deterministic_debug_mode() == 2  # an operation without a deterministic kernel raises
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_users_workspace_is_left_alone(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    make_deterministic(1)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
