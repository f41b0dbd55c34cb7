"""Train experts, fusion module and global head together, from the pre-trained experts.

`loss = CE_global + lambda * sum_i CE_i + w * distillation`. Nothing is frozen. The epoch is chosen on the validation
images, and all components of it are written together, so that they reassemble into the model that was chosen. Without a
fusion rule the same training fine-tunes the experts, whose average is the control.

Reads images, splits and the experts (or earlier components); writes every component, all of them in one file, the log
of all epochs and a manifest. A few times the cost of an expert's epoch for each epoch of all experts.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import derive_seed, initialising
from certifuse.data.images.facts import facts_of
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
from certifuse.study.cells import Cell, Finetuned
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps.training import FinetuneExperts, JointTrainingFiles, TrainFusion
from certifuse.training.batch_norm import set_batch_norms
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import JointNetwork, dual_path_objective, individual_objective, parameter_groups
from certifuse.training.loop.loop import train
from certifuse.training.loop.record import TrainingRun
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry


def train_fusion(step: TrainFusion | FinetuneExperts, files: JointTrainingFiles) -> None:
    """Train one cell, or the control of its family, into the directory of the manifest."""
    training, cell, directory = step.training, step.cell, files.manifest.parent
    if training.epochs is None or training.augmentation is None:
        raise ValueError("training: expected resolved settings (FusionSettings.resolved), found a null")
    fused = isinstance(cell, Cell)
    objective = dual_path_objective(float(cell.lam), training) if fused else individual_objective(training)
    start = starting_components(training, cell, files.experts)
    earlier = [path for path in paths_in(start) if path not in files.experts]
    run = TrainingRun.begin(step, files, [files.images, files.splits, *files.experts, *earlier])
    runtime = runtimes.start(step.execution)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    data = {"images": files.images, "splits": files.splits}
    digests = run.sha256(**data)
    check_belonging(files.experts, {"seed": cell.seed, **digests}, images)
    check_belonging(earlier, digests, images)
    network, specs = initial_network(training, cell, start)
    set_batch_norms(network, training)
    runtime.place(network)

    trainer = EpochTrainer(
        network=network,
        objective=objective,
        groups=parameter_groups(network, training, runtime.bf16),
        data=on_device(images, splits, runtime),
        indices=splits.fusion.to(runtime.device),
        batch_size=training.batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=derive_seed(cell.seed, "fusion"),
        recipe=training,
    )
    labels = {"lambda": cell.lam, "fusion_type": cell.fusion, "model_architecture": cell.architecture}
    validation = splits.validation.to(runtime.device)
    trainee = JointNetwork(network, trainer, validation, labels, training.label_smoothing)
    origin = "jointly trained" if fused else "fine-tuned"
    shown = {"images": facts_of(images, splits).plain()}

    def write(target: Path, states: dict[str, dict[str, Tensor]], epoch: int) -> list[Path]:
        about = {**cell.names(), **digests, **shown, "epoch": epoch, "origin": origin}
        return write_components(target, specs, states, cell, about)

    def keep_epoch(epoch: int) -> None:
        if epoch == 1:  # no state was resumed, so these are from a run with other settings
            shutil.rmtree(directory / "epochs", ignore_errors=True)
        if epoch % training.save_every == 0:
            write(directory / "epochs" / f"epoch_{epoch}", trainee.component_states(), epoch)

    copies = 2 * (training.epochs // training.save_every + 1)  # as components, and all of them in one file
    in_state = trainer.average.weights_in_state
    require_training_room(files, directory, trainee.weights(), trainer.groups, copies, training.epochs, 1, in_state)
    name = "-".join(map(str, cell.names().values()))
    store = run.store()
    plan = run.plan(name, training.epochs, patience=training.early_stopping_patience)
    outcome = train(trainee, plan, store, Telemetry(files.telemetry_dir, cell.architecture, name), keep_epoch)

    written = write(directory, trainee.component_states(outcome.best_weights), outcome.best_epoch)
    given = {"initial_components": sorted(run.record.digests[path] for path in earlier)}
    run.write_manifest([*written, files.log_file], runtime, network, outcome, data, **given)
    store.remove()


def starting_components(training: FusionTraining, cell: Cell | Finetuned, experts: tuple[Path, ...]) -> Found:
    """The pre-trained experts, or whatever earlier components the settings name."""
    pretrained = Found(list(experts), None, None)
    if training.initial_components is None or isinstance(cell, Finetuned):
        return pretrained
    earlier = find_components(Path(training.initial_components.format(**cell.names())))
    return earlier if earlier.experts else earlier._replace(experts=pretrained.experts)


def paths_in(found: Found) -> list[Path]:
    """The files of a set of components."""
    return [path for path in (*found.experts, found.fusion, found.global_head) if path is not None]


def initial_network(
    training: FusionTraining, cell: Cell | Finetuned, start: Found
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
    fusion_rule = None if isinstance(cell, Finetuned) else cell.fusion
    if fusion_rule is not None:
        with initialising(cell.seed, "fusion", fusion_rule, "weights"):
            module = build_fusion_module(fusion_rule, len(experts), network.feature_dim, training)
            network = FusedNetwork(cast(list[ImageClassifier], list(network.experts)), module, network.num_classes)
        if start.fusion is not None:
            fusion = _as_in_settings(load_component(start.fusion), network, fusion_rule, training)
            head = None if start.global_head is None else load_component(start.global_head)
            network = assemble(experts, fusion, head)
    specs = network_specs(network, experts[0].spec, fusion_rule, training)
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
    cell: Cell | Finetuned,
    about: Mapping[str, Any],
) -> list[Path]:
    """Write every component of one epoch, and all of them once more in one file. Returns the paths.

    `about` is kept in each of them: names, epoch, origin, digests of what they were trained with.
    """
    written = []
    for part, spec in specs.items():
        path = directory / component_file(part, cell)
        save_component(path, spec, states[part], **about)
        written.append(path)
    save_complete(directory / paths.COMPLETE_FILE, specs, states, **about)
    return [*written, directory / paths.COMPLETE_FILE]


def component_file(part: str, cell: Cell | Finetuned) -> str:
    """The file of a component inside its directory, under the names of the guides."""
    template = {"fusion": paths.FUSION_FILE, "global_head": paths.HEAD_FILE}.get(part, paths.EXPERT_FILE)
    return template.format(**cell.names(), index=part.removeprefix("expert_"))
