"""Train experts, fusion module and global head together, from the pre-trained experts.

`loss = CE_global + lambda * sum_i CE_i + w * distillation`. Nothing is frozen. The epoch is chosen on the
validation images, and all components of it are written together, so that they reassemble into the model
that was chosen. Without a fusion rule the same training fine-tunes the experts, whose average is the control.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse import layout
from certifuse.components import (
    build_fusion_module,
    find_components,
    load_component,
    load_network,
    network_specs,
    save_complete,
    save_component,
)
from certifuse.data.image_set import load_image_set
from certifuse.data.splits import load_splits
from certifuse.models.fused_network import FusedNetwork
from certifuse.provenance import digest_file, write_json
from certifuse.randomness import derive_seed, initialising
from certifuse.settings.base import Settings
from certifuse.settings.execution import ExecutionSettings
from certifuse.settings.fusion import FusionTraining
from certifuse.training import runtime as runtimes
from certifuse.training.epoch import EpochTrainer, on_device
from certifuse.training.joint import JointNetwork, dual_path_objective, individual_objective, parameter_groups
from certifuse.training.loop import LoopSettings, train
from certifuse.training.record import StepFiles, run_record
from certifuse.training.telemetry import Telemetry

FINETUNED = "finetuned"
"""What stands for the fusion rule in the names of experts that are only fine-tuned."""


class FusionStep(Settings):
    """The settings of this step; `architecture` holds the name and the sizes."""

    architecture: dict[str, Any]
    training: FusionTraining
    execution: ExecutionSettings


@dataclass(frozen=True)
class CellName:
    """Which cell is trained. `fusion` is None for the control, whose `lam` is then "none"."""

    architecture: str
    fusion: str | None
    lam: str
    seed: int

    def fields(self) -> dict[str, Any]:
        """For path templates and labels."""
        return {
            "architecture": self.architecture,
            "fusion": self.fusion or FINETUNED,
            "lam": self.lam,
            "seed": self.seed,
        }


def train_fusion(settings: FusionStep, cell: CellName, files: StepFiles) -> None:
    """Train one cell into the directory of `files.manifest`: components, complete model, log, manifest."""
    runtime = runtimes.start(settings.execution)
    training, directory = settings.training, files.manifest.parent
    images, splits = load_image_set(files.images), load_splits(files.splits)
    network = initial_network(settings, cell, files)
    runtime.place(network)

    objective = dual_path_objective(float(cell.lam), training) if cell.fusion else individual_objective(training)
    trainer = EpochTrainer(
        network=network,
        objective=objective,
        groups=parameter_groups(network, training),
        data=on_device(images, runtime),
        indices=splits.fusion.to(runtime.device),
        batch_size=training.batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=derive_seed(cell.seed, "fusion"),
    )
    labels = {"lambda": cell.lam, "fusion_type": cell.fusion or FINETUNED, "model_architecture": cell.architecture}
    trainee = JointNetwork(network, trainer, splits.validation.to(runtime.device), labels)
    specs = network_specs(network, load_component(files.experts[0]).spec, cell.fusion, training)

    def keep_epoch(epoch: int) -> None:
        if epoch % training.save_every == 0:
            target = directory / "epochs" / f"epoch_{epoch}"
            write_components(target, specs, trainee.component_states(), cell, epoch)

    name = "-".join(map(str, cell.fields().values()))
    store = files.store(settings, *map(str, cell.fields().values()))
    if store.load() is None:
        shutil.rmtree(directory / "epochs", ignore_errors=True)
    plan = LoopSettings(training.epochs, training.early_stopping_patience, files.save_interval_s, files.log, name)
    outcome = train(trainee, plan, store, Telemetry(files.telemetry, cell.architecture, name), keep_epoch)

    best = trainee.component_states(outcome.best_weights)
    written = write_components(directory, specs, best, cell, outcome.best_epoch)
    record = run_record(settings, files, runtime, network, outcome) | cell.fields()
    digests = {str(path.relative_to(directory)): digest_file(path) for path in written}
    write_json(files.manifest, record | {"epoch": outcome.best_epoch, "components_sha256": digests})
    store.remove()


def initial_network(settings: FusionStep, cell: CellName, files: StepFiles) -> FusedNetwork:
    """Pre-trained experts with a fresh fusion module, or whatever earlier components the settings name."""
    training = settings.training
    experts, fusion, head = list(files.experts), None, None
    if training.initial_components and cell.fusion:
        earlier = find_components(Path(training.initial_components.format(**cell.fields() | {"lambda": cell.lam})))
        experts, fusion, head = earlier.experts or experts, earlier.fusion, earlier.global_head
    if cell.fusion is None or fusion is not None:
        return load_network(experts, fusion, head)
    averaged = load_network(experts, None, None)
    feature_dim = int(averaged.experts[0].feature_dim)
    with initialising(cell.seed, "fusion", cell.fusion, "weights"):
        module = build_fusion_module(cell.fusion, len(experts), feature_dim, training)
        return FusedNetwork(list(averaged.experts), module, averaged.num_classes)


def write_components(
    directory: Path, specs: dict[str, dict[str, Any]], states: dict[str, dict[str, Tensor]], cell: CellName, epoch: int
) -> list[Path]:
    """Write every component of one epoch, and all of them once more in one file. Returns the paths."""
    about = cell.fields() | {"epoch": epoch, "origin": "jointly trained" if cell.fusion else "fine-tuned"}
    written = []
    for part, spec in specs.items():
        path = directory / component_file(part, cell)
        save_component(path, spec, states[part], **about)
        written.append(path)
    save_complete(directory / layout.COMPLETE_FILE, specs, states, **about)
    return [*written, directory / layout.COMPLETE_FILE]


def component_file(part: str, cell: CellName) -> str:
    """The file of a component inside its directory, under the names of the guides."""
    template = {"fusion": layout.FUSION_FILE, "global_head": layout.HEAD_FILE}.get(part, layout.EXPERT_FILE)
    return template.format(**cell.fields(), index=part.removeprefix("expert_"))
