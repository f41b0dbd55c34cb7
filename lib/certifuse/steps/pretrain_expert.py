"""Train one network on its own images: an expert on its share of the pool, or the single model on everything.

Reads images and splits; writes the component of the best epoch, the log of all epochs and a manifest. The epoch is
chosen on the validation images; no test image is looked at. It costs most of a study: seconds for the digits, two
minutes to hours for CIFAR.
"""

from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import derive_seed, initialising
from certifuse.data.images.facts import facts_of
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import Splits, load_splits
from certifuse.models.components.assembly import build_expert, expert_spec
from certifuse.models.components.files import save_component
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.study.cells import SINGLE, WIDER
from certifuse.study.steps.training import PretrainExpert
from certifuse.training.batch_norm import set_batch_norms
from certifuse.training.epoch import EpochTrainer
from certifuse.training.loop.loop import train
from certifuse.training.loop.record import TrainingRun
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Telemetry
from certifuse.training.single import SingleNetwork, single_groups, single_objective


def pretrain_expert(step: PretrainExpert, files: PretrainExpert.Files) -> None:
    """Train one member of a family and write its component, its log and its manifest."""
    cell, training = step.cell, step.training
    run = TrainingRun.begin(step, files, [files.images, files.splits])
    runtime = runtimes.start(step.execution)
    images, splits = load_image_set(files.images), load_splits(files.splits)
    spec = expert_spec(step.architecture, images.num_classes, images.train_images.shape[1])
    with initialising(cell.seed, cell.member, "weights"):
        network = build_expert(spec)
    network.fit_to_pool(images.train_images[splits.pool], splits.mean, splits.std)
    set_batch_norms(network, training)
    runtime.place(network)

    trainer = EpochTrainer(
        network=network,
        objective=single_objective(training.label_smoothing),
        groups=single_groups(network, training, runtime.bf16),
        data=on_device(images, splits, runtime),
        indices=member_indices(splits, cell.member).to(runtime.device),
        batch_size=training.batch_size,
        augmentation=training.augmentation,
        runtime=runtime,
        seed=derive_seed(cell.seed, cell.member),
        recipe=training,
    )
    trainee = SingleNetwork(network, trainer, splits.validation.to(runtime.device))

    name = f"{cell.architecture}-{cell.member}-seed{cell.seed}"
    plan = run.plan(name, training.epochs, patience=training.early_stopping_patience)
    in_state = trainer.average.weights_in_state
    require_training_room(files, files.output, trainee.weights(), trainer.groups, 1, plan.epochs, 1, in_state)
    store = run.store()
    outcome = train(trainee, plan, store, Telemetry(files.telemetry_dir, cell.architecture, name))

    about = {"member": cell.member, "seed": cell.seed, "epoch": outcome.best_epoch, "origin": "pre-trained"}
    data = {"images": files.images, "splits": files.splits}
    shown = {"images": facts_of(images, splits).plain()}
    save_component(files.output, spec, outcome.best_weights, **about, **shown, **run.sha256(**data))
    written = [files.output, files.log_file]
    run.write_manifest(written, runtime, network, outcome, data, training_images=len(trainer.indices))
    store.remove()


def member_indices(splits: Splits, member: str) -> Tensor:
    """The training images of `expert_{i}`, or of a single model: the pool and the fusion images."""
    if member in (SINGLE, WIDER):
        return splits.all_for_training()
    experts = {f"expert_{index}": indices for index, indices in enumerate(splits.experts)}
    if member not in experts:
        raise UserError(f"member: expected {SINGLE}, {WIDER} or one of {', '.join(experts)}, found {member}")
    return experts[member]
