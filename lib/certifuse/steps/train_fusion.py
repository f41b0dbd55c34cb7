"""Train experts, fusion module and global head together, from the pre-trained experts.

`loss = CE_global + lambda * sum_i CE_i + w * distillation`. Nothing is frozen. The epoch is chosen on the
validation images, and all components of it are written together, so that they reassemble into the model
that was chosen. Without a fusion rule the same training fine-tunes the experts, whose average is the control.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import write_manifest
from certifuse.base.randomness import derive_seed, initialising
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.models.components.assembly import (
    Found,
    assemble,
    build_fusion_module,
    find_components,
    fusion_spec,
    network_specs,
    save_complete,
)
from certifuse.models.components.belonging import check_belonging
from certifuse.models.components.files import Component, load_component, save_component
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.study import paths
from certifuse.study.cells import FINETUNED, CellName
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps import FusionStep
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import JointNetwork, dual_path_objective, individual_objective, parameter_groups
from certifuse.training.loop.loop import train
from certifuse.training.loop.record import StepFiles, run_record
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry


def train_fusion(settings: FusionStep, cell: CellName, files: StepFiles) -> None:
    """Train one cell into the directory of `files.manifest`: components, complete model, log, manifest."""
    training, directory = settings.training, files.manifest.parent
    if training.epochs is None or training.augmentation is None:
        raise ValueError("training: expected resolved settings (FusionSettings.resolved), found a null")
    objective = dual_path_objective(weight_of(cell), training) if cell.fusion else individual_objective(training)
    runtime = runtimes.start(settings.execution)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    data = files.data_sha256()
    check_belonging(files.experts, {"seed": cell.seed, **data}, images)
    start = starting_components(training, cell, files)
    earlier = [path for path in paths_in(start) if path not in files.experts]
    check_belonging(earlier, data, images)
    network, specs = initial_network(training, cell, start)
    runtime.place(network)

    trainer = EpochTrainer(
        network=network,
        objective=objective,
        groups=parameter_groups(network, training),
        data=on_device(images, splits, runtime),
        indices=splits.fusion.to(runtime.device),
        batch_size=training.batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=derive_seed(cell.seed, "fusion"),
    )
    labels = {"lambda": cell.lam, "fusion_type": cell.fusion or FINETUNED, "model_architecture": cell.architecture}
    validation = splits.validation.to(runtime.device)
    trainee = JointNetwork(network, trainer, validation, labels, training.label_smoothing)

    def keep_epoch(epoch: int) -> None:
        if epoch == 1:  # no state was resumed, so these are from a run with other settings
            shutil.rmtree(directory / "epochs", ignore_errors=True)
        if epoch % training.save_every == 0:
            target = directory / "epochs" / f"epoch_{epoch}"
            write_components(target, specs, trainee.component_states(), cell, epoch, data)

    copies = 2 * (training.epochs // training.save_every + 1)  # as components, and all of them in one file
    require_training_room(files, directory, trainee.weights(), trainer.groups, copies, training.epochs)
    name = "-".join(map(str, cell.fields().values()))
    digests_of_earlier = {str(path): digest_file(path) for path in earlier}
    store = files.store(settings, *map(str, cell.fields().values()), *digests_of_earlier.values())
    plan = files.plan(name, training.epochs, patience=training.early_stopping_patience)
    outcome = train(trainee, plan, store, Telemetry(files.telemetry, cell.architecture, name), keep_epoch)

    best = trainee.component_states(outcome.best_weights)
    written = write_components(directory, specs, best, cell, outcome.best_epoch, data)
    record = run_record(settings, files, runtime, network, outcome, [files.log]) | cell.fields()
    record |= {"epoch": outcome.best_epoch, "initial_components_sha256": digests_of_earlier}
    digests = {str(path.relative_to(directory)): digest_file(path) for path in written}
    write_manifest(files.manifest, record | {"components_sha256": digests})
    store.remove()


def weight_of(cell: CellName) -> float:
    """Lambda as a number."""
    try:
        return float(cell.lam)
    except ValueError:
        raise UserError(f"--lambda: expected a number with --fusion {cell.fusion}, found {cell.lam!r}") from None


def starting_components(training: FusionTraining, cell: CellName, files: StepFiles) -> Found:
    """The pre-trained experts, or whatever earlier components the settings name."""
    pretrained = Found(list(files.experts), None, None)
    if training.initial_components is None or cell.fusion is None:
        return pretrained
    earlier = find_components(Path(training.initial_components.format(**cell.fields(), **{"lambda": cell.lam})))
    return earlier if earlier.experts else earlier._replace(experts=pretrained.experts)


def paths_in(found: Found) -> list[Path]:
    """The files of a set of components."""
    return [path for path in (*found.experts, found.fusion, found.global_head) if path is not None]


def initial_network(
    training: FusionTraining, cell: CellName, start: Found
) -> tuple[FusedNetwork, dict[str, dict[str, Any]]]:
    """The network at the start of training, and the specification of each of its components.

    Experts are as their files describe them. The fusion module is as the settings describe it: drawn afresh, or
    filled from the earlier one with its head.
    """
    experts = [load_component(path) for path in start.experts]
    for expert in experts:
        found = expert.spec.get("architecture", {}).get("name", expert.spec["kind"])
        if found != cell.architecture:
            raise UserError(f"{expert.path}: expected an expert of architecture {cell.architecture}, found {found}")
    network = assemble(experts, None, None)
    if cell.fusion is not None:
        with initialising(cell.seed, "fusion", cell.fusion, "weights"):
            module = build_fusion_module(cell.fusion, len(experts), network.feature_dim, training)
            network = FusedNetwork(cast(list[ImageClassifier], list(network.experts)), module, network.num_classes)
        if start.fusion is not None:
            fusion = _as_in_settings(load_component(start.fusion), network, cell.fusion, training)
            head = None if start.global_head is None else load_component(start.global_head)
            network = assemble(experts, fusion, head)
    specs = network_specs(network, experts[0].spec, cell.fusion, training)
    return network, specs | {f"expert_{index}": expert.spec for index, expert in enumerate(experts)}


def _as_in_settings(component: Component, network: FusedNetwork, fusion: str, training: FusionTraining) -> Component:
    found = component.spec.get("fusion", component.spec["kind"])
    if found != fusion:
        raise UserError(f"{component.path}: expected a fusion module of rule {fusion}, found {found}")
    return replace(component, spec=fusion_spec(fusion, len(network.experts), network.feature_dim, training))


def write_components(
    directory: Path,
    specs: dict[str, dict[str, Any]],
    states: dict[str, dict[str, Tensor]],
    cell: CellName,
    epoch: int,
    data: Mapping[str, str],
) -> list[Path]:
    """Write every component of one epoch, and all of them once more in one file. Returns the paths.

    `data` are the digests of what they were trained with.
    """
    about = {**cell.fields(), **data} | {"epoch": epoch, "origin": "jointly trained" if cell.fusion else "fine-tuned"}
    written = []
    for part, spec in specs.items():
        path = directory / component_file(part, cell)
        save_component(path, spec, states[part], **about)
        written.append(path)
    save_complete(directory / paths.COMPLETE_FILE, specs, states, **about)
    return [*written, directory / paths.COMPLETE_FILE]


def component_file(part: str, cell: CellName) -> str:
    """The file of a component inside its directory, under the names of the guides."""
    template = {"fusion": paths.FUSION_FILE, "global_head": paths.HEAD_FILE}.get(part, paths.EXPERT_FILE)
    return template.format(**cell.fields(), index=part.removeprefix("expert_"))
