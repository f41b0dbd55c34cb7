"""Two processes with the same work: a second training stops at once and names the first; two evaluations agree."""

import json
import socket
import time
from dataclasses import replace

import pytest

from certifuse.base.errors import UserError
from certifuse.certificates.images.issue import Evidence
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.steps.certify_subspace import certify_subspace
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.train_fusion import train_fusion
from certifuse.steps.train_sublora import SubloraFiles, train_sublora
from certifuse.study.cells import CertifiedCell, SubloraCell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.language_models import LanguageModelSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.settings.sublora import SubloraTraining
from certifuse.study.steps import CertifyStep, EvaluationStep, PretrainStep, TrainSubloraStep

ENDLESS = 10**6
SOON_S = 180.0
CELL = CertifiedCell("resnet", "concatenation", "1.0", 0)


def pretraining(study, where, script, arguments):
    run = study.tiny.fusion_step()
    training = ExpertTraining(epochs=ENDLESS, batch_size=16, lr=0.01, augmentation=run.training.augmentation)
    step = PretrainStep(architecture=run.architecture, training=training, execution=run.execution)
    files = study.tiny.files(where)
    own = ("--member", "expert_0", "--images", files.images, "--splits", files.splits, "--output", files.output)
    command = [*script("pretrain_expert", *own), *arguments(files, step, 0)]
    return files, command, lambda: pretrain_expert(step, "expert_0", 0, files)


def fusion(study, where, script, arguments):
    run = study.tiny.prepare(where, epochs=ENDLESS, save_every=ENDLESS)
    files = run.files
    own = ("--architecture", "resnet", "--fusion", "concatenation", "--lambda", "1.0", "--experts", *files.experts)
    own += ("--images", files.images, "--splits", files.splits)
    command = [*script("train_fusion", *own), *arguments(files, run.settings, 0)]
    return files, command, lambda: train_fusion(run.settings, run.cell, files)


def subspace(study, where, script, arguments):
    step = CertifyStep(
        delta=0.1,
        levels=(3,),
        training=SubspaceTraining(epochs=ENDLESS, quantised_epochs=1, batch_size=16),
        fusion=study.tiny.fusion_step().training,
        execution=study.tiny.fusion_step().execution,
    )
    files = study.tiny.files(where, output=where)
    evidence = Evidence(files.images, files.splits, study.experts, step.delta, 1, files.source)
    own = ("--architecture", "resnet", "--fusion", "concatenation", "--lambda", "1.0", "--dim", 8, "--output", where)
    own += ("--experts", *files.experts, "--expert-manifests", *(manifest for _, manifest in study.experts))
    own += ("--images", files.images, "--splits", files.splits)
    command = [*script("certify_subspace", *own), *arguments(files, step, 0)]
    stage = replace(files, resume=files.resume / "full_precision")
    return stage, command, lambda: certify_subspace(step, CELL, 8, evidence, files)


def sublora(study, where, script, arguments):
    texts = [(part, f"{part} document number {n} of all") for part in ("train", "validation") for n in range(8)]
    write_corpus(texts, ByteTokeniser(), 1, {}, where / "corpus")
    execution = study.tiny.fusion_step().execution
    model = LanguageModelSettings(layers=1, heads=2, width=16, context=16)
    training = SubloraTraining(steps=ENDLESS, validate_every=ENDLESS, batch_size=2)
    step = TrainSubloraStep(model=model, levels=(3,), training=training, execution=execution)
    images = study.tiny.files(where)
    own_fields = ("log", "manifest", "resume", "telemetry", "source", "save_interval_s")
    files = SubloraFiles(**{name: getattr(images, name) for name in own_fields}, corpus=where / "corpus")
    own = ("--corpus", files.corpus, "--dim", 20, "--mode", "uniform")
    command = [*script("train_sublora", *own), *arguments(files, step, 0)]
    stage = replace(files, resume=files.resume / "full_precision")
    return stage, command, lambda: train_sublora(step, SubloraCell(20, "uniform", 0), files)


TRAININGS = (pretraining, subspace, sublora)
"""Beside `fusion`, whose second process is a script too."""


def wait_for_runner(files, process):
    """Until the process has noted that it runs."""
    note, deadline = files.resume / "running.json", time.monotonic() + SOON_S
    while not note.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.__name__)
def test_a_second_training_stops_at_once_and_names_the_first(
    certified, tmp_path, start, script, training_arguments, training
):
    files, command, second = training(certified, tmp_path, script, training_arguments)
    first = start(command)
    wait_for_runner(files, first)
    note = (files.resume / "running.json").read_text()
    with pytest.raises(UserError, match=rf"process {first.pid} on {socket.gethostname()} is already training"):
        second()
    assert first.poll() is None, "the first goes on"
    assert (files.resume / "running.json").read_text() == note
    assert json.loads(note)["pid"] == first.pid


def test_the_second_is_one_line_and_a_status(certified, tmp_path, start, script, training_arguments):
    files, command, _ = fusion(certified, tmp_path, script, training_arguments)
    first = start(command)
    wait_for_runner(files, first)
    second = start(command)
    said = second.communicate(timeout=SOON_S)[1]
    assert second.returncode == 2
    assert f"error: {files.resume}: process {first.pid} on " in said
    assert said.count("\n") == 1


def test_two_evaluations_of_a_cell_agree(tiny, tmp_path, start, script):
    """Nothing locks them: each file is replaced as a whole, by the same bytes."""
    run = tiny.train(tmp_path)
    step = EvaluationStep(evaluation=EvaluationSettings(), execution=run.settings.execution)
    identity = {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0}
    places = tiny.images, tiny.splits, tmp_path / "scores"
    own = [word for name, value in identity.items() for word in (f"--{name}", value)]
    own += ["--components", run.directory, "--images", places[0], "--splits", places[1], "--output", places[2]]
    command = script("evaluate_fusion", "--settings", json.dumps(step.plain()), *own)
    evaluate_fusion(step, identity, run.directory, *places[:2], tmp_path / "alone")
    other = start(command)
    while other.poll() is None:
        evaluate_fusion(step, identity, run.directory, *places)
    assert other.returncode == 0, other.stderr.read()
    written, alone = (
        {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.json"}
        for directory in (places[2], tmp_path / "alone")
    )
    assert written == alone
