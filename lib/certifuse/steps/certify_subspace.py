"""Certify a fused network that is trained in a random subspace around its pre-trained experts.

theta = theta0 + P w: theta0 are the experts' average with a fresh fusion module and a head of zeros, P is a seeded
random projector, and w, of d numbers, is trained on the fusion images with the cell's dual-path loss. w is quantised
to L levels, trained on as such, coded, written, read back and decoded; the model that comes back is the one whose
mistakes are counted. The bits that were written pay for having looked at the fusion images.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse.base.digests import digest_file
from certifuse.base.manifest import path_from, write_manifest
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
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import as_numbers, fit_codebook
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size
from certifuse.study.cells import CertifiedCell
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.fusion import FusionTraining
from certifuse.study.steps import CertifyStep
from certifuse.training.epoch import EpochTrainer
from certifuse.training.joint import dual_path_objective
from certifuse.training.loop.loop import Outcome, train
from certifuse.training.loop.record import StepFiles, run_record
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry
from certifuse.training.subspace import SubspaceTrainee, subspace_group


def certify_subspace(
    settings: CertifyStep, cell: CertifiedCell, dim: int, evidence: Evidence, files: StepFiles
) -> None:
    """Train once in `dim` dimensions, and certify the result at every number of levels.

    Each certificate is a directory `levels_{L}` below that of `files.output`.
    """
    evidence.check_independence()
    check_belonging(files.experts, {"seed": cell.seed})
    trained, record, stores = train_in_subspace(settings, cell, dim, files)
    training = settings.training
    specification = module_specification(settings.fusion, cell.fusion, files)
    prior = prior_network(files.experts, specification, cell.seed, anchored=True, parameters=training.parameters)
    projector = ProjectorDescription(
        kind=training.projector, seed=training.projector_seed, subspace_dim=dim, ambient_dim=trainable_size(prior)
    )
    judge = evidence.judge(describe(prior, cell.architecture, specification, cell.seed, training.parameters, projector))
    written: list[Path] = []
    for levels, w_d in trained.items():
        codebook = fit_codebook(as_numbers(w_d), levels, training.codebook)
        bitstream = encode(nearest_level(as_numbers(w_d), codebook), codebook)
        identity = cell.identity() | {"d": dim, "levels": levels}
        directory = files.output / f"levels_{levels}"
        write_coded_certificate(directory, "subspace", identity, bitstream, judge, settings, evidence)
        written += [directory / CERTIFICATE_FILE, directory / BITSTREAM_FILE]
    digests = {path_from(files.manifest.parent, path): digest_file(path) for path in written}
    write_manifest(files.manifest, record | cell.identity() | {"d": dim, "certificates_sha256": digests})
    for store in stores:
        store.remove()
    shutil.rmtree(files.resume)


def module_specification(fusion: FusionTraining, rule: str, files: StepFiles) -> dict[str, Any]:
    """What the fusion module of the experts is built from."""
    average = assemble([load_component(path) for path in files.experts], None, None)
    return fusion_spec(rule, len(files.experts), average.feature_dim, fusion)


def train_in_subspace(
    settings: CertifyStep, cell: CertifiedCell, dim: int, files: StepFiles
) -> tuple[dict[int, Tensor], dict[str, Any], list[ResumeStore]]:
    """w by number of levels, each trained on as quantised from the common w of full precision; manifest, and states.

    The states are kept to the end of the step: a step that is killed goes on after the last stage that was finished.
    """
    training = settings.training
    runtime = replace(runtimes.start(settings.execution), compile=False)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    specification = module_specification(settings.fusion, cell.fusion, files)
    network = prior_network(files.experts, specification, cell.seed, anchored=True, parameters=training.parameters)
    runtime.place(network)
    ambient = trainable_size(network)
    projector = make_projector(training.projector, training.projector_seed, dim, ambient, runtime.device)
    subspace = SubspaceNetwork(network, projector)
    data = on_device(images, splits, runtime)
    objective = dual_path_objective(float(cell.lam), settings.fusion)
    outcomes: dict[str, Outcome] = {}
    stores: list[ResumeStore] = []

    def run(levels: int | None, epochs: int) -> Tensor:
        stage = "full_precision" if levels is None else f"levels_{levels}"
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
            stages = 1 + len(settings.levels)
            most = max(epochs, training.quantised_epochs)
            require_training_room(files, files.output, trainee.weights(), trainer.groups, stages, most, stages)
        identity = [*map(str, cell.identity().values()), f"d{dim}", stage]
        log = files.log.with_name(f"{stage}.csv")
        plan = files.plan("-".join(identity), epochs, log_file=log, store_finished=True)
        stores.append(replace(files, resume=files.resume / stage).store(settings, *identity))
        outcomes[stage] = train(trainee, plan, stores[-1], Telemetry(files.telemetry, cell.architecture, plan.name))
        subspace.quantise = None
        return outcomes[stage].best_weights["w"]

    full = run(None, training.epochs)
    trained = {}
    for levels in settings.levels:
        subspace.w.data.copy_(full)
        trained[levels] = run(levels, training.quantised_epochs)
    logs = [files.log.with_name(f"{stage}.csv") for stage in outcomes]
    record = run_record(settings, files, runtime, subspace, outcomes["full_precision"], logs)
    wall_s = sum(row["seconds"] for outcome in outcomes.values() for row in outcome.rows)
    return trained, record | {"training_wall_s": wall_s}, stores
