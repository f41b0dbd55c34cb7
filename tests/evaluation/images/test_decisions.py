"""Right or wrong: against loops; ties and near ties; what rounding can and cannot turn."""

import copy
import math

import pytest
import torch

from certifuse.certificates.coding.codec import decode
from certifuse.certificates.images.certificate import read_certificate
from certifuse.certificates.images.judge import Samples
from certifuse.certificates.images.model import decoded_network
from certifuse.evaluation.images.decisions import ROUNDING, TIE, decide, most_near_ties
from certifuse.study.paths import BITSTREAM_FILE

K = 5


def drawn(images: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(images, K, generator=generator), torch.randint(K, (images,), generator=generator)


def by_hand(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> tuple[list[bool], int]:
    """Image by image in Python numbers."""
    wrong, near = [], 0
    for logits, label in zip(logits_NK.tolist(), labels_N.tolist(), strict=True):
        others = [value for index, value in enumerate(logits) if index != label]
        margin = logits[label] - max(others)
        wrong.append(not margin > TIE)
        near += abs(margin - TIE) <= ROUNDING * max(map(abs, logits))
    return wrong, near


def test_equals_a_loop_over_the_images():
    logits_NK, labels_N = drawn(2000)
    logits_NK = logits_NK.double()
    logits_NK[::7, :2] = 20 - torch.tensor([0.0, TIE + ROUNDING], dtype=torch.float64)
    logits_NK[::5, :2] = logits_NK[::5].amax(1, keepdim=True)
    found = decide(logits_NK, labels_N)
    wrong, near = by_hand(logits_NK, labels_N)
    assert found.wrong_N.tolist() == wrong
    assert (found.errors, found.examples, found.near_ties) == (sum(wrong), 2000, near)
    assert near > 30


def test_far_from_ties_it_is_the_arg_max():
    logits_NK, labels_N = drawn(500)
    assert torch.equal(decide(logits_NK, labels_N).wrong_N, logits_NK.argmax(1) != labels_N)


@pytest.mark.parametrize(
    ("margin", "errors", "near_ties"),
    [
        *((-1.0, 1, 0), (-TIE / 2, 1, 0), (0.0, 1, 0), (TIE / 2, 1, 0), (TIE - 15 * ROUNDING, 1, 0), (1.0, 0, 0)),
        *((TIE - 5 * ROUNDING, 1, 1), (TIE, 1, 1), (TIE + 5 * ROUNDING, 0, 1), (TIE + 15 * ROUNDING, 0, 0)),
    ],
)
def test_a_tie_is_a_certain_error_whoever_comes_first(margin, errors, near_ties):
    """An arg max would be right or wrong by the order of the classes. The largest logit is 10."""
    for label in range(K):
        logits_1K = torch.full((1, K), -10.0, dtype=torch.float64)
        logits_1K[0, label] += margin
        found = decide(logits_1K, torch.tensor([label]))
        assert (found.errors, found.near_ties) == (errors, near_ties)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_an_error(value):
    """A model whose logits overflow would otherwise be certified as perfect."""
    everywhere = torch.full((3, K), value)
    found = decide(everywhere, torch.tensor([0, 1, 4]))
    assert (found.errors, found.near_ties) == (3, 0)
    one = torch.zeros(1, K)
    one[0, 2] = value
    assert decide(one, torch.tensor([1])).errors == 1
    assert decide(one, torch.tensor([2])).errors == (0 if value == math.inf else 1)


def test_rounding_turns_near_ties_only():
    """Logits of another machine: no count changes by more than the near ties, and without them none changes."""
    logits_NK, labels_N = drawn(4000, seed=1)
    logits_NK[:300, 0] = logits_NK[:300, 1:].amax(1) + TIE + ROUNDING * torch.linspace(-3, 3, 300)
    labels_N[:300] = 0
    near, far = decide(logits_NK, labels_N), decide(logits_NK[300:], labels_N[300:])
    assert far.near_ties == 0
    turned = 0
    for seed in range(20):
        noise_NK = ROUNDING / 4 * torch.randn(4000, K, generator=torch.Generator().manual_seed(seed))
        moved = decide(logits_NK + noise_NK, labels_N)
        assert abs(moved.errors - near.errors) <= near.near_ties
        turned += int((moved.wrong_N != near.wrong_N).sum())
        assert torch.equal(moved.wrong_N[300:], far.wrong_N)
    assert turned > 0


def test_few_images_may_be_near_ties():
    assert [most_near_ties(images) for images in (40, 1_000, 10_000)] == [2, 3, 12]


def test_rounding_of_other_batches_and_threads_stays_within_what_is_stated(certified):
    """Against the same networks in double precision, whose rounding nobody sees."""
    samples = Samples.load(certified.tiny.images, certified.tiny.splits, threads=1)
    certificate = read_certificate(certified.subspace)
    prior = certified.evidence().judge(certificate.model).prior
    coded = decode((certified.subspace / BITSTREAM_FILE).read_bytes())
    model = decoded_network(prior, certificate.model.projector, torch.from_numpy(coded.values))
    pixels_NCHW = samples.parts["fusion"][0].batch(torch.arange(240))
    labels_N = samples.images.train_labels
    largest = 0.0
    for network in (prior.eval(), model.eval()):
        exact_NK = logits_of(copy.deepcopy(network).double(), pixels_NCHW.double(), 240, 1)
        for batch, threads in ((240, 1), (240, 2), (64, 2), (7, 1), (1, 1)):
            moved_N = margins(logits_of(network, pixels_NCHW, batch, threads), labels_N) - margins(exact_NK, labels_N)
            largest = max(largest, float((moved_N.abs() / exact_NK.abs().amax(1)).max()))
    assert 1e-8 < largest < ROUNDING / 2, "else two machines, each so far from the exact one, may differ by more"


@torch.inference_mode()
def logits_of(network, pixels_NCHW: torch.Tensor, batch: int, threads: int) -> torch.Tensor:
    torch.set_num_threads(threads)
    return torch.cat([network(part).global_logits_NK.double() for part in pixels_NCHW.split(batch)])


def margins(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Of the label's logit over the largest other one."""
    others_NK = logits_NK.scatter(1, labels_N[:, None], -torch.inf)
    return logits_NK.gather(1, labels_N[:, None])[:, 0] - others_NK.amax(1)
