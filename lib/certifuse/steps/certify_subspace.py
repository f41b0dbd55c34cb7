"""Certify a fused network that is trained in a random subspace around its pre-trained experts.

theta = theta0 + P w: theta0 are the experts' average with a fresh fusion module and a head of zeros, P is a seeded
random projector, and w, of d numbers, is trained on the fusion images with the cell's dual-path loss. w is quantised
to L levels, trained on as such, coded, written, read back and decoded; the model that comes back is the one whose
mistakes are counted. The bits that were written pay for having looked at the fusion images.

Reads images, splits and the experts with their manifests; writes one certificate and bitstream for each number of
levels, logs and a manifest. About as many passes over the fusion images as a cell takes, each a little dearer for the
projector.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse.base.randomness import derive_seed
from certifuse.certificates.coding.codec import encode
from certifuse.certificates.images.certificate import ProjectorDescription
from certifuse.certificates.images.issue import Evidence, write_coded_certificate
from certifuse.certificates.images.model import describe, make_projector, prior_network
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.models.components.assembly import assemble, fusion_spec
from certifuse.models.components.belonging import check_belonging
from certifuse.models.components.files import load_component
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.models.compute.runtime import Runtime
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import as_numbers, fit_codebook
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size
from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps.certificates import CertifySubspace
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import dual_path_objective
from certifuse.training.loop.loop import Outcome, train
from certifuse.training.loop.record import TrainingRun
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry
from certifuse.training.subspace import SubspaceTrainee, subspace_group

FULL_PRECISION = "full_precision"


def certify_subspace(step: CertifySubspace, files: CertifySubspace.Files) -> None:
    """Train once, and certify the result at every number of levels, in a directory `levels_{L}` each."""
    cell, training = step.cell, step.training
    pairs = list(zip(files.experts, files.expert_manifests, strict=True))
    evidence = Evidence(files.images, files.splits, pairs, step.delta, step.execution.threads, files.source)
    run = TrainingRun.begin(step, files, evidence.files())
    evidence.check_independence(cell.names())
    evidence.check_copies()
    check_belonging(files.experts, {"seed": cell.seed})
    trained = train_in_subspace(run, step, files)
    specification = module_specification(step.fusion, cell.fusion, files.experts)
    prior = prior_network(files.experts, specification, cell.seed, anchored=True, parameters=training.parameters)
    projector = ProjectorDescription(
        kind=training.projector, seed=training.projector_seed, subspace_dim=cell.d, ambient_dim=trainable_size(prior)
    )
    judge = evidence.judge(describe(prior, cell.architecture, specification, cell.seed, training.parameters, projector))
    written = [trained.log(stage) for stage in trained.outcomes]
    for levels, w_d in trained.quantised.items():
        codebook = fit_codebook(as_numbers(w_d), levels, training.codebook)
        bitstream = encode(nearest_level(as_numbers(w_d), codebook), codebook)
        identity = cell.names() | {"levels": levels}
        directory = files.output / paths.LEVELS_DIR.format(levels=levels)
        write_coded_certificate(directory, "subspace", identity, bitstream, judge, step, evidence)
        written += [directory / CERTIFICATE_FILE, directory / BITSTREAM_FILE]
    data = {"images": files.images, "splits": files.splits}
    full, wall_s = trained.outcomes[FULL_PRECISION], trained.training_wall_s
    run.write_manifest(written, trained.runtime, trained.network, full, data, training_wall_s=wall_s)
    for store in trained.stores:
        store.remove()
    shutil.rmtree(files.resume_dir)


def module_specification(fusion: FusionTraining, rule: str, experts: Sequence[Path]) -> dict[str, Any]:
    """The specification of a fusion module for these experts."""
    average = assemble([load_component(path) for path in experts], None, None)
    return fusion_spec(rule, len(experts), average.feature_dim, fusion)


@dataclass(frozen=True)
class TrainedInSubspace:
    """w by number of levels, each trained on as quantised from the common w of full precision.

    `stores` are the states, kept to the end of the step: a step that is killed goes on after the last finished stage.
    """

    network: SubspaceNetwork
    runtime: Runtime
    log_file: Path
    quantised: dict[int, Tensor] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    stores: list[ResumeStore] = field(default_factory=list)

    def log(self, stage: str) -> Path:
        """The log of one stage."""
        return self.log_file.with_name(f"{stage}.csv")

    @property
    def training_wall_s(self) -> float:
        """Seconds of all epochs of all stages."""
        total: float = sum(row["seconds"] for outcome in self.outcomes.values() for row in outcome.rows)
        return total


def train_in_subspace(run: TrainingRun, step: CertifySubspace, files: CertifySubspace.Files) -> TrainedInSubspace:
    """Train w at full precision, then on from there as quantised, for every number of levels."""
    cell, training = step.cell, step.training
    runtime = replace(runtimes.start(step.execution), compile=False)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    specification = module_specification(step.fusion, cell.fusion, files.experts)
    network = prior_network(files.experts, specification, cell.seed, anchored=True, parameters=training.parameters)
    runtime.place(network)
    ambient = trainable_size(network)
    projector = make_projector(training.projector, training.projector_seed, cell.d, ambient, runtime.device)
    subspace = SubspaceNetwork(network, projector)
    trained = TrainedInSubspace(subspace, runtime, files.log_file)
    data = on_device(images, splits, runtime)
    objective = dual_path_objective(float(cell.lam), step.fusion)
    names = [*map(str, cell.cell.names().values()), f"d{cell.d}"]

    def train_stage(levels: int | None, epochs: int) -> Tensor:
        stage = FULL_PRECISION if levels is None else paths.LEVELS_DIR.format(levels=levels)
        trainer = EpochTrainer(
            network=subspace,
            objective=objective,
            groups=[subspace_group(subspace, training, quantised=levels is not None)],
            data=data,
            indices=splits.fusion.to(runtime.device),
            batch_size=training.batch_size,
            augmentation=training.augmentation,
            runtime=runtime,
            seed=derive_seed(cell.seed, "subspace", stage),
        )
        trainee = SubspaceTrainee(subspace, trainer, splits.validation.to(runtime.device), training, levels)
        if levels is None:
            stages = 1 + len(step.levels)
            most = max(epochs, training.quantised_epochs)
            require_training_room(files, files.output, trainee.weights(), trainer.groups, stages, most, stages)
        plan = run.plan("-".join([*names, stage]), epochs, log_file=trained.log(stage), store_finished=True)
        trained.stores.append(run.store(stage))
        telemetry = Telemetry(files.telemetry_dir, cell.architecture, plan.name)
        trained.outcomes[stage] = train(trainee, plan, trained.stores[-1], telemetry)
        subspace.quantise = None
        return trained.outcomes[stage].best_weights["w"]

    full = train_stage(None, training.epochs)
    for levels in step.levels:
        subspace.w.data.copy_(full)
        trained.quantised[levels] = train_stage(levels, training.quantised_epochs)
    return trained
