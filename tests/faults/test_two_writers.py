"""Two processes with the same work: a second training stops at once and names the first; two evaluations agree."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from step_commands import step_command

from certifuse.base.errors import UserError
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.steps.certify_subspace import certify_subspace
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.train_fusion import train_fusion
from certifuse.steps.train_sublora import train_sublora
from certifuse.study.cells import Cell, Member, SubloraCell, SubspaceCell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.settings.sublora import SubloraTraining
from certifuse.study.steps.certificates import CertifySubspace
from certifuse.study.steps.language import TrainSublora
from certifuse.study.steps.training import EvaluateFusion, PretrainExpert

ENDLESS = 10**6
SOON_S = 180.0
CELL = Cell("resnet", "concatenation", "1.0", 0)


@dataclass(frozen=True)
class Work:
    """A training that does not end. `resume` is where the state of its first stage is."""

    step: Any
    files: Any
    train: Callable[..., None]
    resume: Path

    @property
    def command(self):
        """The same as a process."""
        return step_command(self.step, self.files)


def pretraining(study, where):
    run = study.tiny.fusion_step()
    training = ExpertTraining(epochs=ENDLESS, batch_size=16, lr=0.01, augmentation=run.training.augmentation)
    shared = {"architecture": run.architecture, "execution": run.execution}
    step = PretrainExpert(cell=Member("resnet", 0, "expert_0"), training=training, **shared)
    files = study.tiny.pretraining_files(where)
    return Work(step, files, pretrain_expert, files.resume_dir)


def fusion(study, where):
    run = study.tiny.prepare(where, epochs=ENDLESS, save_every=ENDLESS)
    return Work(run.step, run.files, train_fusion, run.files.resume_dir)


def subspace(study, where):
    step = CertifySubspace(
        cell=SubspaceCell(*CELL, 8),
        delta=0.1,
        levels=(3,),
        training=SubspaceTraining(epochs=ENDLESS, quantised_epochs=1, batch_size=16),
        fusion=study.tiny.fusion_step().training,
        execution=study.tiny.fusion_step().execution,
    )
    files = study.files(where)
    return Work(step, files, certify_subspace, files.resume_dir / "full_precision")


def sublora(study, where):
    texts = [(part, f"{part} document number {n} of all") for part in ("train", "validation") for n in range(8)]
    write_corpus(texts, ByteTokeniser(), 1, {}, where / "corpus")
    step = TrainSublora(
        cell=SubloraCell(20, "uniform", 0),
        model=LanguageModelSettings(layers=1, heads=2, width=16, context=16),
        levels=(3,),
        training=SubloraTraining(steps=ENDLESS, validate_every=ENDLESS, batch_size=2),
        execution=study.tiny.fusion_step().execution,
    )
    shared = study.tiny.training_files(where)
    own = {name: path for name, path in shared.items() if name not in ("images", "splits")}
    files = TrainSublora.Files(**own, corpus=where / "corpus")
    return Work(step, files, train_sublora, files.resume_dir / "full_precision")


TRAININGS = (pretraining, subspace, sublora)
"""Beside `fusion`, whose second process is a script too."""


def wait_for_runner(work, process):
    """Until the process has noted that it runs; what it noted."""
    note, deadline = work.resume / "running.json", time.monotonic() + SOON_S
    while not note.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return note.read_text()


@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.__name__)
def test_a_second_training_stops_at_once_and_names_the_first(certified, tmp_path, start, training):
    work = training(certified, tmp_path)
    first = start(work.command)
    note = wait_for_runner(work, first)
    with pytest.raises(UserError, match=rf"process {first.pid} on {socket.gethostname()} is already training"):
        work.train(work.step, work.files)
    assert first.poll() is None, "the first goes on"
    assert (work.resume / "running.json").read_text() == note
    assert json.loads(note)["pid"] == first.pid


def test_the_second_is_one_line_and_a_status(certified, tmp_path, start):
    work = fusion(certified, tmp_path)
    first = start(work.command)
    wait_for_runner(work, first)
    second = start(work.command)
    said = second.communicate(timeout=SOON_S)[1]
    assert second.returncode == 2
    assert f"error: {work.resume}: process {first.pid} on " in said
    assert said.count("\n") == 1


def test_two_evaluations_of_a_cell_agree(tiny, tmp_path, start):
    """Nothing locks them: each file is replaced as a whole, by the same bytes."""
    run = tiny.train(tmp_path)
    step = EvaluateFusion(cell=CELL, evaluation=EvaluationSettings(), execution=run.step.execution)
    data = {"images": tiny.images, "splits": tiny.splits, "source": "test", "components": run.directory}
    files = EvaluateFusion.Files(**data, output=tmp_path / "scores")
    alone_files = replace(files, output=tmp_path / "alone")
    evaluate_fusion(step, alone_files)
    other = start(step_command(step, files))
    while other.poll() is None:
        evaluate_fusion(step, files)
    assert other.returncode == 0, other.stderr.read()
    written, alone = (
        {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}
        for directory in (files.output, alone_files.output)
    )
    assert written == alone
