"""Pre-train a language model inside a subspace: theta = theta0 + P w, from documents to w.

theta0, the LoRA weights and the projectors come from the seed; only w, of d numbers, is trained, and in mode `learned`
how many of them steer B and how many A in each layer. Every mode starts at the same function, w = 0. From the best w
at full precision w is then trained on as quantised, for every number of levels by itself; the best stretch of each
training is chosen on validation documents. The nulls of mode `learned` train with splits that are given: drawn,
learned and moved to other layers, or as learned.

Reads the prepared corpus; writes w of every stage, a log of each and a manifest. A minute for a small network on a CPU,
a day on one GPU for GPT-2 small and the published 10,000 steps.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certifuse.base.errors import UserError
from certifuse.base.randomness import derive_seed
from certifuse.data.text.corpus import MANIFEST, Corpus, load_corpus
from certifuse.data.text.token_batches import TokenStream, token_stream
from certifuse.evaluation.language.subsample import drawn_documents
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.runtime import Runtime
from certifuse.models.subspace.allocation import AllocatedNetwork
from certifuse.models.subspace.budget_splits import BudgetSplits, permuted_splits, random_splits
from certifuse.models.subspace.trained_vector import TrainedVector, load_vector, network_at_start, save_vector
from certifuse.study import paths
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.sublora import NULLS, allocation_of
from certifuse.study.steps.language import TrainSublora
from certifuse.training.language import OF_LANGUAGE, LanguageTrainee, full_precision_groups, quantised_groups
from certifuse.training.loop.loop import Outcome, train
from certifuse.training.loop.processes import FollowingStore, Processes, joined
from certifuse.training.loop.record import TrainingRun
from certifuse.training.loop.resume import ResumeStore
from certifuse.training.loop.room import require_training_room
from certifuse.training.loop.telemetry import Silence, Telemetry

FULL_PRECISION = "full_precision"


def train_sublora(step: TrainSublora, files: TrainSublora.Files) -> None:
    """Train one cell into the directory of the manifest; the logs of its stages go beside the log file."""
    runtime = replace(runtimes.start(step.execution), compile=False)
    with joined(step.training.processes, runtime.device) as processes:
        run = TrainingRun.begin(step, files, [files.corpus / MANIFEST, *files.learned])
        run = replace(run, budget=replace(run.budget, any_of=partial(processes.any_of, device=runtime.device)))
        training = _Training(step, files, run, runtime, processes, load_corpus(files.corpus))
        network = training.network()
        stores = {levels: training.store(levels) for levels in (None, *step.levels)}
        outcomes: dict[int | None, Outcome] = {None: training.train(network, None, stores[None])}
        for levels in step.levels:
            network.restore_trained_state(outcomes[None].best_weights)
            network.anneal(1.0)
            outcomes[levels] = training.train(network, levels, stores[levels])
        if processes.leads:
            _write(training, network, outcomes)
        for store in stores.values():
            store.remove()
        if processes.leads:
            shutil.rmtree(files.resume_dir)  # what a killed process left half written too


def stage_name(levels: int | None) -> str:
    """The name of a training in logs and files."""
    return FULL_PRECISION if levels is None else paths.LEVELS_DIR.format(levels=levels)


def weights_name(levels: int | None) -> str:
    """The file of a training's w."""
    return paths.SUBLORA_WEIGHTS if levels is None else paths.SUBLORA_LEVELS_WEIGHTS.format(levels=levels)


def given_splits(network: AllocatedNetwork, cell: SubloraCell, learned: Path | None) -> BudgetSplits:
    """The splits that a null trains with. UserError without the learned ones where it needs those."""
    if not NULLS[cell.mode]:
        return random_splits(network.budgets, cell.seed)
    if learned is None:
        raise UserError(f"learned: mode {cell.mode} needs the weights of mode learned, found none")
    trained = load_vector(learned)
    expected = SubloraCell(cell.d, "learned", cell.seed)
    if trained.cell != expected:
        raise UserError(f"{learned}: expected the weights of {tuple(expected)}, found those of {tuple(trained.cell)}")
    splits = trained.structure.splits
    return permuted_splits(network.budgets, splits, cell.seed) if cell.mode == "learned_permuted" else splits


@dataclass(frozen=True)
class _Training:
    step: TrainSublora
    files: TrainSublora.Files
    run: TrainingRun
    runtime: Runtime
    processes: Processes
    corpus: Corpus

    @property
    def cell(self) -> SubloraCell:
        """The cell that is trained."""
        return self.step.cell

    @cached_property
    def stream(self) -> TokenStream:
        """The training documents."""
        return token_stream(self.corpus.train, self.corpus.vocabulary, self.runtime.device)

    @cached_property
    def validation(self) -> Sequence[NDArray[np.integer]]:
        """The documents to choose on."""
        return drawn_documents(self.corpus.validation, self.step.training.validation_documents)

    def network(self) -> AllocatedNetwork:
        """The network at its start."""
        allocation = allocation_of(self.cell.mode, self.step.training)
        inputs = self.corpus.vocabulary.inputs
        network = network_at_start(self.step.model, allocation, self.cell, inputs, self.runtime.device)
        if self.cell.mode in NULLS:
            network.fix_splits(given_splits(network, self.cell, next(iter(self.files.learned), None)))
        return network

    def train(self, network: AllocatedNetwork, levels: int | None, store: ResumeStore) -> Outcome:
        """One training, from where the network is."""
        training, stage, leads = self.step.training, stage_name(levels), self.processes.leads
        groups = full_precision_groups(network, training) if levels is None else quantised_groups(network, training)
        trainee = LanguageTrainee(
            network=network,
            groups=groups,
            stream=self.stream,
            validation=self.validation,
            vocabulary=self.corpus.vocabulary,
            training=training,
            levels=levels,
            runtime=self.runtime,
            seed=derive_seed(self.cell.seed, "sublora", stage),
            processes=self.processes,
        )
        plan = self.run.plan(
            f"d{self.cell.d}-{self.cell.mode}-s{self.cell.seed}-{stage}",
            -(-trainee.steps // training.validate_every),
            log_file=self.log(levels),
            criterion=OF_LANGUAGE,
            store_finished=True,
            quiet=not leads,
        )
        if leads and levels is None:
            stages = 1 + len(self.step.levels)
            output, weights = self.files.manifest.parent, trainee.weights()
            require_training_room(self.files, output, weights, groups, stages, plan.epochs, stages)
        telemetry = Telemetry(self.files.telemetry_dir, "sublora", plan.name) if leads else Silence()
        return train(trainee, plan, store, telemetry)

    def log(self, levels: int | None) -> Path:
        """The log of one training."""
        return self.files.log_file.with_name(f"{stage_name(levels)}.csv")

    def store(self, levels: int | None) -> ResumeStore:
        """The state of one training."""
        return self.run.store(stage_name(levels), ResumeStore if self.processes.leads else FollowingStore)


def _write(training: _Training, network: AllocatedNetwork, outcomes: dict[int | None, Outcome]) -> None:
    directory, written = training.files.manifest.parent, [training.log(levels) for levels in outcomes]
    for levels, outcome in outcomes.items():
        network.restore_trained_state(outcome.best_weights)
        network.anneal(1.0)
        path = directory / weights_name(levels)
        save_vector(path, TrainedVector(network.vector, network.structure, training.cell, levels))
        written.append(path)
    found = network_facts(network) | {
        "best_rows": {stage_name(levels): outcome.best_row for levels, outcome in outcomes.items()},
        "training_wall_s": sum(row["seconds"] for outcome in outcomes.values() for row in outcome.rows),
    }
    data = {"corpus": training.files.corpus / MANIFEST}
    training.run.write_manifest(written, training.runtime, network, outcomes[None], data, **found)


def network_facts(network: AllocatedNetwork) -> dict[str, Any]:
    """Sizes and splits, for the manifest."""
    splits = network.structure.splits
    return {
        "parameters": sum(parameter.numel() for parameter in network.network.parameters()),
        "weights": network.projector.ambient_dim,
        "effective_directions": network.effective_directions(),
        "gates": [
            {"group": budget.name, "depth": depth, "budget": budget.directions, "split": split}
            for depth, (budget, split) in enumerate(zip(network.budgets, splits, strict=True))
        ],
    }
