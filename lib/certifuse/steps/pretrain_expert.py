"""Train one network on its own images: an expert on its share of the pool, or the single model on everything.

The epoch is chosen on the validation images. No test image is looked at.
"""

from torch import Tensor

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import write_manifest
from certifuse.base.randomness import derive_seed, initialising
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import Splits, load_splits
from certifuse.models.components.assembly import build_expert, expert_spec
from certifuse.models.components.files import save_component
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.study.paths import SINGLE, WIDER
from certifuse.study.steps import PretrainStep
from certifuse.training.epoch import EpochTrainer
from certifuse.training.loop.loop import train
from certifuse.training.loop.record import StepFiles, run_record
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry
from certifuse.training.single import SingleNetwork, single_group, single_objective


def member_indices(splits: Splits, member: str) -> Tensor:
    """The training images of `expert_{i}`, or of a single model: the pool and the fusion images."""
    if member in (SINGLE, WIDER):
        return splits.all_for_training()
    experts = {f"expert_{index}": indices for index, indices in enumerate(splits.experts)}
    if member not in experts:
        raise UserError(f"--member: expected {SINGLE}, {WIDER} or one of {', '.join(experts)}, found {member}")
    return experts[member]


def pretrain_expert(settings: PretrainStep, member: str, seed: int, files: StepFiles) -> None:
    """Train `member` and write its component, its log and its manifest."""
    runtime = runtimes.start(settings.execution)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    spec = expert_spec(settings.architecture, images.num_classes, images.train_images.shape[1])
    with initialising(seed, member, "weights"):
        network = build_expert(spec)
    runtime.place(network)

    trainer = EpochTrainer(
        network=network,
        objective=single_objective(settings.training.label_smoothing),
        groups=[single_group(network, settings.training)],
        data=on_device(images, splits, runtime),
        indices=member_indices(splits, member).to(runtime.device),
        batch_size=settings.training.batch_size,
        augmentation=settings.training.augmentation,
        runtime=runtime,
        seed=derive_seed(seed, member),
    )
    trainee = SingleNetwork(network, trainer, splits.validation.to(runtime.device))

    architecture = settings.architecture["name"]
    name = f"{architecture}-{member}-seed{seed}"
    patience = settings.training.early_stopping_patience
    plan = files.plan(name, settings.training.epochs, patience=patience)
    require_training_room(files, files.output, trainee.weights(), trainer.groups, copies=1, epochs=plan.epochs)
    store = files.store(settings, member, seed)
    outcome = train(trainee, plan, store, Telemetry(files.telemetry, architecture, name))

    about = {"member": member, "seed": seed, "epoch": outcome.best_epoch, "origin": "pre-trained"}
    save_component(files.output, spec, outcome.best_weights, **about, **files.data_sha256())
    record = run_record(settings, files, runtime, network, outcome, [files.log]) | about
    record |= {"training_images": len(trainer.indices), "component_sha256": digest_file(files.output)}
    write_manifest(files.manifest, record)
    store.remove()
