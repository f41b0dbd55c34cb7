"""Tiny networks as the training writes them, results as all steps do, and the program called in this process."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from recorded_results import Results

from certifuse.cli.main import main
from certifuse.models.components.assembly import build_expert, build_fusion_module, expert_spec, network_specs
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.steps.train_fusion import write_components
from certifuse.study.cells import Cell, Finetuned
from certifuse.study.settings.fusion import FusionModuleSettings

torch.set_num_threads(1)

CLASSES = 3
CHANNELS = 1
SETTINGS = FusionModuleSettings(hidden_dim=5)


@dataclass
class StoredEpoch:
    """A stored epoch of a training: its directory and the network that was written there."""

    directory: Path
    network: FusedNetwork

    @property
    def experts(self):
        return sorted((self.directory / "experts").iterdir())

    @property
    def fusion(self):
        return next((self.directory / "fusion").iterdir())

    @property
    def head(self):
        return next((self.directory / "global").iterdir())

    @property
    def complete(self):
        return self.directory / "complete_fusion_best.safetensors"


def random_network(fusion, experts, width, in_channels, seed):
    """Every tensor is random, batch-norm statistics too, so that a wrong one changes the output."""
    architecture = {"name": "resnet", "width": width, "blocks": [1, 1]}
    spec = expert_spec(architecture, CLASSES, in_channels)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        members = [build_expert(spec) for _ in range(experts)]
        module = None if fusion is None else build_fusion_module(fusion, experts, members[0].feature_dim, SETTINGS)
        network = FusedNetwork(members, module, CLASSES).eval()
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.2 * torch.rand(tensor.shape))
    return network, network_specs(network, spec, fusion, SETTINGS)


@pytest.fixture
def store(tmp_path):
    """Writes a run (or one of its epochs) below `tmp_path / "runs"` and returns it."""

    def write(fusion="concatenation", seed=0, epoch=7, stored=False, experts=2, width=4, in_channels=CHANNELS):
        network, specs = random_network(fusion, experts, width, in_channels, seed=100 * seed + epoch)
        states = {part: module.state_dict() for part, module in network.component_modules().items()}
        lam = "none" if fusion is None else "0.5"
        directory = tmp_path / "runs" / f"resnet_fusions_lambda_{lam}" / (fusion or "finetuned") / f"seed_{seed}"
        directory = directory / "epochs" / f"epoch_{epoch}" if stored else directory
        cell = Finetuned("resnet", seed) if fusion is None else Cell("resnet", fusion, lam, seed)
        origin = "fine-tuned" if fusion is None else "jointly trained"
        write_components(directory, specs, states, cell, {**cell.names(), "epoch": epoch, "origin": origin})
        return StoredEpoch(directory, network)

    return write


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A finished study whose every digest is known."""
    return Results(tmp_path / "results", monkeypatch).finish()


@pytest.fixture
def certifuse(capsys):
    """Runs the program: (exit status, standard output, standard error)."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def certifuse_json(certifuse):
    """Runs the program with `--json`, which must succeed, and returns what it prints."""

    def call(*arguments):
        code, out, err = certifuse(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.fixture
def refused(certifuse):
    """Runs the program, which must refuse with status 2 and one line; returns that line."""

    def call(*arguments):
        code, out, err = certifuse(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return call
