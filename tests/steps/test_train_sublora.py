"""Pre-training in a subspace: what is written, cut-off runs, nulls, several processes, golden losses."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cut_off import cut_off, unmeasured
from step_commands import step_arguments, step_command

from certifuse.base.errors import UserError
from certifuse.base.rows import read_rows
from certifuse.data.text.corpus import load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.evaluation.language.subsample import drawn_documents
from certifuse.models.subspace.budget_splits import permuted_splits, random_splits
from certifuse.models.subspace.codebook import nearest_level
from certifuse.models.subspace.quantisation import fit_codebook
from certifuse.models.subspace.trained_vector import load_vector, network_at_start
from certifuse.steps.train_sublora import train_sublora
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.language_models import LanguageModelSettings, LoraSettings
from certifuse.study.settings.sublora import GateSettings, SubloraTraining, allocation_of
from certifuse.study.steps.language import TrainSublora
from certifuse.training.loop.resume import ResumeStore, Snapshot

GOLDEN = Path(__file__).parents[1] / "golden" / "sublora.json"
MODEL = LanguageModelSettings(layers=3, heads=2, width=16, context=12, lora=LoraSettings(rank=2, dropout=0.1))
TRAINING = SubloraTraining(
    steps=12,
    batch_size=4,
    lr=0.1,
    warmup_steps=2,
    validate_every=4,
    validation_documents=5,
    quantised_steps=6,
    quantised_lr=0.01,
    codebook_every=3,
    gates=GateSettings(lr=1.0, tau_start=3.0),
)
EXECUTION = ExecutionSettings(threads=1, device="cpu", precision="fp32", compile="off")
TIMES = ("seconds", "tokens_per_s")
LEARNED = SubloraCell(40, "learned", 7)


@dataclass(frozen=True)
class Run:
    """One training, to be made or made."""

    step: TrainSublora
    files: TrainSublora.Files

    def train(self):
        train_sublora(self.step, self.files)
        return self

    @property
    def cell(self):
        return self.step.cell

    @property
    def directory(self):
        return self.files.manifest.parent

    @property
    def weights(self):
        return {path.name: path.read_bytes() for path in sorted(self.directory.glob("*.safetensors"))}

    @property
    def rows(self):
        logs = sorted(self.files.log_file.parent.glob("*.csv"))
        rows = {path.name: read_rows(path) for path in logs}
        return {name: [{k: v for k, v in row.items() if k not in TIMES} for row in each] for name, each in rows.items()}

    @property
    def manifest(self):
        return json.loads(self.files.manifest.read_text())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus") / "corpus"
    texts = [("train", f"document {n} says {n * n} and stops; {'ab' * (n % 5)}") for n in range(40)]
    texts += [("validation", f"another one: {n} and {'xyz' * n}.") for n in range(9)]
    write_corpus(texts, ByteTokeniser(), 1, {}, directory)
    return directory


@pytest.fixture(scope="module")
def prepare(corpus):
    """`prepare(where, cell, save_interval_s, learned, model, **training)`: a run that has not begun."""

    def make(where, cell=LEARNED, save_interval_s=0.0, learned=(), model=MODEL, **changes):
        training = SubloraTraining.from_json(json.dumps(TRAINING.plain() | changes))
        step = TrainSublora(cell=cell, model=model, levels=(2, 5), training=training, execution=EXECUTION)
        files = TrainSublora.Files(
            corpus=corpus,
            learned=learned,
            log_file=where / "logs" / "full_precision.csv",
            manifest=where / "run" / "manifest.json",
            resume_dir=where / "resume",
            telemetry_dir=where / "telemetry",
            source="test",
            save_interval_s=save_interval_s,
        )
        return Run(step, files)

    return make


@pytest.fixture(scope="module")
def whole(prepare, tmp_path_factory):
    """The uninterrupted run of mode learned."""
    return prepare(tmp_path_factory.mktemp("whole")).train()


# ---- what is written -------------------------------------------------------------------------------


def test_files_of_a_run(whole, corpus):
    assert set(whole.weights) == {"weights.safetensors", "weights_levels_2.safetensors", "weights_levels_5.safetensors"}
    assert {name: len(rows) for name, rows in whole.rows.items()} == {
        "full_precision.csv": 3,
        "levels_2.csv": 2,
        "levels_5.csv": 2,
    }
    manifest = whole.manifest
    assert manifest["identity"] == {"d": 40, "mode": "learned", "seed": 7}
    assert sum(manifest["effective_directions"].values()) == 40
    assert manifest["weights"] == 2 * (3 * 4 * 16 + 16 + 257)
    assert [gate["group"] for gate in manifest["gates"]] == ["layer_0", "layer_1", "layer_2", "head"]
    assert sum(gate["budget"] for gate in manifest["gates"]) == 40
    assert not whole.files.resume_dir.exists()


@pytest.mark.parametrize("levels", [None, 2, 5])
def test_the_file_is_the_model_whose_loss_the_manifest_tells(whole, corpus, levels):
    """Rebuilt from settings, cell and file alone: the logged validation loss, to the bit of the same computation."""
    from certifuse.data.text.windows import WindowRule
    from certifuse.evaluation.language.document_scores import unsmoothed_bpd
    from certifuse.evaluation.language.token_scores import LanguageModel, score_tokens

    name = "weights" if levels is None else f"weights_levels_{levels}"
    trained, documents = load_vector(whole.directory / f"{name}.safetensors"), load_corpus(corpus)
    assert (trained.cell, trained.levels) == (LEARNED, levels)
    network = network_at_start(MODEL, allocation_of("learned", TRAINING), LEARNED, documents.vocabulary.inputs)
    numbers = trained.w_d.numpy()
    if levels is not None:
        codebook = fit_codebook(numbers, levels, TRAINING.codebook)
        numbers = codebook.centroids[nearest_level(numbers, codebook)]
    network.restore(trained.structure, torch.from_numpy(numbers))
    model = network.network_at(network.vector)
    scores = score_tokens(
        LanguageModel(model, model.hidden_states, model.logits, 256),
        drawn_documents(documents.validation, 5),
        WindowRule(context=12, stride=12),
        256,
    )
    stage = "full_precision" if levels is None else f"levels_{levels}"
    best = whole.manifest["best_rows"][stage]
    assert best["validation_bpd"] == float(unsmoothed_bpd(scores).sum()) / 5
    assert best["validation_bpd"] == min(float(row["validation_bpd"]) for row in whole.rows[f"{stage}.csv"])


def test_levels_start_from_the_best_weights_of_full_precision_each(prepare, whole, tmp_path):
    """So a level more does not change the others."""
    run = prepare(tmp_path)
    replace(run, step=run.step.model_copy(update={"levels": (5,)})).train()
    assert run.weights == {k: v for k, v in whole.weights.items() if k != "weights_levels_2.safetensors"}


def test_the_same_documents_are_validated_on_by_all():
    class Few:
        def __len__(self):
            return 7

        def document(self, index):
            return np.array([index])

    first = [int(tokens[0]) for tokens in drawn_documents(Few(), 4)]
    assert first == sorted(set(first))
    assert [int(tokens[0]) for tokens in drawn_documents(Few(), 4)] == first
    assert len(drawn_documents(Few(), 99)) == 7


# ---- nulls -----------------------------------------------------------------------------------------


def null(mode):
    return replace(LEARNED, mode=mode)


@pytest.mark.parametrize("mode", ["learned_random", "learned_permuted", "learned_refixed"])
def test_nulls_train_with_given_splits(prepare, whole, tmp_path, mode):
    learned = whole.directory / "weights.safetensors"
    run = prepare(tmp_path, null(mode), learned=() if mode == "learned_random" else (learned,)).train()
    network = network_at_start(MODEL, allocation_of(mode, TRAINING), run.cell, 257)
    own = load_vector(learned).structure.splits
    expected = {
        "learned_random": random_splits(network.budgets, 7),
        "learned_permuted": permuted_splits(network.budgets, own, 7),
        "learned_refixed": own,
    }[mode]
    assert load_vector(run.directory / "weights.safetensors").structure.splits == expected
    logged = run.rows["full_precision.csv"]
    assert {row["gamma_head"] for row in logged} == {str(expected[-1] / network.budgets[-1].directions)}
    assert run.weights != whole.weights


@pytest.mark.parametrize("cell", [replace(LEARNED, d=41), replace(LEARNED, seed=8), null("uniform")])
def test_a_null_takes_the_splits_of_its_own_learned_run(prepare, tmp_path, cell):
    other = prepare(tmp_path / "other", cell, steps=4).train()
    run = prepare(tmp_path, null("learned_refixed"), learned=(other.directory / "weights.safetensors",))
    with pytest.raises(UserError, match=r"expected the weights of \(40, 'learned', 7\), found"):
        run.train()


def test_a_null_without_a_learned_run_is_refused(prepare, tmp_path):
    with pytest.raises(UserError, match="mode learned_refixed needs the weights of mode learned, found none"):
        prepare(tmp_path, null("learned_refixed")).train()


# ---- cut off, and on again -------------------------------------------------------------------------


def assert_same_end(run, whole):
    assert run.weights == whole.weights
    assert run.rows == whole.rows
    assert unmeasured(run.manifest) == unmeasured(whole.manifest)


@pytest.mark.parametrize("writes", range(1, 11))
def test_a_run_that_is_cut_off_ends_as_the_uninterrupted_one(prepare, tmp_path, monkeypatch, whole, writes):
    run = prepare(tmp_path)
    cut_off(run, monkeypatch, writes)
    run.train()
    assert_same_end(run, whole)


def test_a_finished_part_is_not_trained_again(prepare, tmp_path, monkeypatch, whole, caplog):
    """Also where nothing is stored between: the end of a part always is."""
    run = prepare(tmp_path, save_interval_s=1e9)
    cut_off(run, monkeypatch, 7)
    caplog.clear()
    with caplog.at_level("INFO"):
        run.train()
    trained = {record.getMessage().split("]")[0].split("-")[-1] for record in caplog.records if "/s" in record.message}
    assert trained == {"levels_5"}
    assert_same_end(run, whole)


def stored(run, stage):
    """The store of one part of a run and what its newest state holds."""
    (newest,) = (path for path in (run.files.resume_dir / stage).glob("*.safetensors") if "previous" not in path.name)
    store = ResumeStore(run.files.resume_dir / stage, newest.name.removesuffix(".safetensors"))
    return store, store.load()


@pytest.mark.parametrize(
    ("stage", "writes", "piece"),
    [
        ("full_precision", 2, "state/network/w"),
        ("full_precision", 2, "state/network/gating.g_G"),
        ("full_precision", 2, "state/subspace/0/exp_avg"),
        ("full_precision", 2, "state/subspace/0/step"),
        ("full_precision", 2, "state/gates/0/exp_avg_sq"),
        ("full_precision", 6, "best/w"),
        ("levels_2", 6, "state/subspace/0/exp_avg"),
    ],
)
def test_every_piece_of_the_state_matters(prepare, tmp_path, monkeypatch, whole, stage, writes, piece):
    """Negative control: a state in which one tensor is a little different leads to another end."""
    run = prepare(tmp_path)
    cut_off(run, monkeypatch, writes)
    store, snapshot = stored(run, stage)
    name = next(name for name in sorted(snapshot.tensors) if name.startswith(piece))
    changed = snapshot.tensors[name] + (1 if "step" in piece else 0.05)
    store.save(Snapshot(snapshot.tensors | {name: changed}, snapshot.progress))
    run.train()
    assert run.weights != whole.weights


def test_a_state_that_is_stored_again_as_it_is_changes_nothing(prepare, tmp_path, monkeypatch, whole):
    """Control of the control."""
    run = prepare(tmp_path)
    cut_off(run, monkeypatch, 2)
    store, snapshot = stored(run, "full_precision")
    store.save(snapshot)
    run.train()
    assert_same_end(run, whole)


@pytest.mark.parametrize("other", [{"lr": 0.2}, {"cell": replace(LEARNED, seed=8)}, {"windows_per_pass": 1}])
def test_the_state_of_another_run_is_not_taken(prepare, tmp_path, monkeypatch, other):
    cut_off(prepare(tmp_path / "shared"), monkeypatch, 5)
    here = prepare(tmp_path / "shared", **other).train()
    assert here.manifest["resumed_after_epochs"] == []
    assert here.weights == prepare(tmp_path / "alone", **other).train().weights


def test_a_process_that_is_killed_ends_as_the_uninterrupted_one(prepare, tmp_path):
    """A real process, a real SIGKILL, at whatever moment after the second state; then the same command."""
    choices = {"steps": 100, "quantised_steps": 12}
    run, environment = prepare(tmp_path / "killed", **choices), os.environ | {"OMP_NUM_THREADS": "1"}
    command = step_command(run.step, run.files)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        deadline = time.monotonic() + 120
        previous = run.files.resume_dir / "full_precision"
        while not list(previous.glob("*.previous.safetensors")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "resumed after epoch" in done.stderr
    torch.set_num_threads(1)
    assert_same_end(run, prepare(tmp_path / "whole", **choices).train())
    assert not run.files.resume_dir.exists()


# ---- several processes -----------------------------------------------------------------------------

PLAIN_MODEL = MODEL.model_copy(update={"lora": LoraSettings(rank=2)})


def test_two_processes_train_as_one(prepare, tmp_path):
    """Two processes by torchrun over gloo, and a resumed second half, against one: equal but for rounding."""
    choices = {"model": PLAIN_MODEL, "validation_documents": 5}
    alone = prepare(tmp_path / "alone", **choices).train()
    run = prepare(tmp_path / "two", processes=2, **choices)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, *step_arguments(run.step, run.files)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("stretch 1/3") == 1, "one process reports"
    assert set(run.weights) == set(alone.weights)
    for name in alone.weights:
        ours, theirs = (load_vector(each.directory / name) for each in (run, alone))
        torch.testing.assert_close(ours.w_d, theirs.w_d, rtol=1e-3, atol=1e-5)
        assert ours.structure == theirs.structure
    for stage, row in alone.manifest["best_rows"].items():
        assert run.manifest["best_rows"][stage]["validation_bpd"] == pytest.approx(row["validation_bpd"], rel=1e-5)
    assert not run.files.resume_dir.exists()


IMPATIENT = """
import os, runpy, sys
from certifuse.training.loop import record
from certifuse.training.loop.budget import TimeBudget
limits_min = {"0": 1e6, "1": 1e-6}
record.TimeBudget = lambda minutes, began_s: TimeBudget(limits_min[os.environ["RANK"]])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_all_processes_stop_when_the_time_of_one_is_up(prepare, tmp_path):
    """One of two has no time left after a stretch: both stop behind the same one, and the next attempt goes on."""
    driver = tmp_path / "impatient.py"
    driver.write_text(IMPATIENT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def start(run, *driver):
        command = [*torchrun, *map(str, driver), *step_arguments(run.step, run.files)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    run = prepare(tmp_path / "stopped", processes=2, save_interval_s=1e9)
    stopped = start(run, driver)
    assert stopped.returncode != 0
    assert stopped.stderr.count("out of time: d40-learned-s7-full_precision: stopped after stretch 1 of 3") == 2
    assert stopped.stderr.count("Traceback") == 1, "torchrun's own, which names the processes that failed"
    assert "ChildFailedError" in stopped.stderr.split("Traceback")[1]
    resumed = start(run)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed after epoch 1\n" in resumed.stderr
    whole = prepare(tmp_path / "whole", processes=2)
    assert start(whole).returncode == 0
    assert_same_end(run, whole)


def test_another_number_of_processes_than_in_the_settings_is_refused(prepare, tmp_path):
    with pytest.raises(UserError, match="expected 2 processes, found 1: start the step with torchrun"):
        prepare(tmp_path, processes=2).train()


# ---- golden ----------------------------------------------------------------------------------------


def test_golden_losses(prepare, tmp_path):
    """Losses per stretch of four modes. CERTIFUSE_WRITE_GOLDEN=1 writes the file again, for changes that mean to."""
    losses = {}
    for mode in ("uniform", "fixed_0.8", "learned", "lora_only"):
        cell = SubloraCell(2 * (3 * 64 + 273) if mode == "lora_only" else 40, mode, 7)
        run = prepare(tmp_path / mode, cell, model=PLAIN_MODEL, lr=0.01 if mode == "lora_only" else 0.1).train()
        losses[mode] = {
            name: [[float(row[column]) for column in ("train_loss_bpd", "validation_bpd")] for row in rows]
            for name, rows in run.rows.items()
        }
    if os.environ.get("CERTIFUSE_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(losses, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert losses.keys() == golden.keys()
    for mode, stages in golden.items():
        for name, expected in stages.items():
            np.testing.assert_allclose(losses[mode][name], expected, rtol=1e-4)
