"""A tiny study of language models: documents, trainings in two modes, certificates of them and of tables of counts."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certifuse.base.records import overridden
from certifuse.base.rows import read_rows
from certifuse.certificates.language.certificate import LanguageCertificate, read_language_certificate
from certifuse.data.text.corpus import Corpus, load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.steps.certify_ngram import certify_ngram
from certifuse.steps.certify_sublora import certify_sublora
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.train_sublora import train_sublora
from certifuse.study.cells import Member, SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.language_models import LanguageModelSettings, LoraSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.settings.sublora import GateSettings, SubloraBounds, SubloraTraining
from certifuse.study.steps.language import CertifyNgram, CertifySublora, TrainSublora
from certifuse.study.steps.training import PretrainExpert

EXECUTION = ExecutionSettings(threads=1, device="cpu", precision="fp32", compile="off")
MODEL = LanguageModelSettings(layers=2, heads=2, width=16, context=24, lora=LoraSettings(rank=2, dropout=0.1))
TRAINING = SubloraTraining(
    steps=30,
    batch_size=8,
    lr=0.1,
    warmup_steps=2,
    validate_every=15,
    validation_documents=6,
    quantised_steps=8,
    codebook_every=4,
    gates=GateSettings(lr=2.0, tau_start=3.0),
)
BOUNDS = SubloraBounds(delta=0.1, alphas=(0.2, 0.5), subsample=30, top_k=(1, 10), stride=16)
CELLS = (SubloraCell(40, "learned", 7), SubloraCell(30, "fixed_0.5", 7))
LEVELS = (3, 7)
NGRAMS = ("uniform", "unigram", "bigram")


FAST: dict[str, Any] = {
    "optimizer": "muon",
    "muon": {"normalise_filters": True, "others": "adamw", "norm_lr_factor": 0.1, "head_lr_factor": 0.1},
    "image_sizes": [[0.6, 6]],
    "weight_average_decay": 0.8,
    "augmentation": {"crop_padding": 1, "flip": "alternating"},
}
"""A recipe in which everything is at work that has a state or changes from epoch to epoch."""


@dataclass(frozen=True)
class Language:
    """The results directory of the study."""

    root: Path

    @property
    def corpus(self) -> Path:
        return self.root / "data" / "corpus"

    @property
    def documents(self) -> Corpus:
        return load_corpus(self.corpus)

    def directory(self, cell: SubloraCell) -> Path:
        return self.root / "sublora" / f"d_{cell.d}_{cell.mode}_seed_{cell.seed}"

    def certificate_directory(self, name: SubloraCell | str, levels: int = 3) -> Path:
        if isinstance(name, str):
            return self.root / "sublora" / f"ngram_{name}"
        return self.directory(name) / f"levels_{levels}"

    def certificate(self, name: SubloraCell | str, levels: int = 3) -> LanguageCertificate:
        return read_language_certificate(self.certificate_directory(name, levels))

    def training_step(self, cell: SubloraCell = CELLS[0], **changes: object) -> TrainSublora:
        """The settings of a training; `changes` are its keys."""
        training = overridden(TRAINING, None, **changes)
        return TrainSublora(cell=cell, model=MODEL, levels=LEVELS, training=training, execution=EXECUTION)

    def train(self, cell: SubloraCell, **changes: Any) -> None:
        """Train a cell; `changes` are fields of its files."""
        logs = self.root / "csv_logs" / "sublora" / self.directory(cell).name
        files = TrainSublora.Files(
            corpus=self.corpus,
            log_file=logs / "full_precision.csv",
            manifest=self.directory(cell) / "manifest.json",
            resume_dir=self.root / "resume",
            telemetry_dir=self.root / "telemetry",
            source="test",
            save_interval_s=1e9,
        )
        train_sublora(self.training_step(cell), replace(files, **changes))

    def step(self, cell: SubloraCell = CELLS[0], levels: int = 3, **changes: object) -> CertifySublora:
        """The settings of a certification; `changes` are keys of its bounds."""
        return CertifySublora(
            cell=cell,
            cell_levels=levels,
            model=MODEL,
            projector=TRAINING.projector,
            codebook=TRAINING.codebook,
            bounds=overridden(BOUNDS, None, **changes),
            validation_documents=TRAINING.validation_documents,
            execution=EXECUTION,
        )

    def files(self, cell: SubloraCell, levels: int = 3, directory: Path | None = None) -> CertifySublora.Files:
        return CertifySublora.Files(
            weights=self.directory(cell) / f"weights_levels_{levels}.safetensors",
            corpus=self.corpus,
            output=directory or self.certificate_directory(cell, levels),
            source="test",
        )

    def certify(self, cell: SubloraCell, levels: int = 3, directory: Path | None = None, **changes: object) -> Path:
        files = self.files(cell, levels, directory)
        certify_sublora(self.step(cell, levels, **changes), files)
        return files.output

    def certify_ngram(self, name: str, directory: Path | None = None, **changes: object) -> Path:
        bounds, documents = overridden(BOUNDS, None, **changes), TRAINING.validation_documents
        output = directory or self.certificate_directory(name)
        step = CertifyNgram(ngram=name, bounds=bounds, validation_documents=documents)
        certify_ngram(step, CertifyNgram.Files(corpus=self.corpus, output=output, source="test"))
        return output

    def copy(self, root: Path) -> "Language":
        """A copy of all files, to damage."""
        shutil.copytree(self.root, root)
        return replace(self, root=root)


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Language:
    """See the head of the module. Made once: not to be changed, but for a `copy`."""
    study = Language(tmp_path_factory.mktemp("language"))
    texts = [("train", f"document {n} says {n * n} and stops{'; abab' * (n % 7)}.") for n in range(60)]
    texts += [("train", "document 3 says 9 and stops; abab; abab; abab.")]
    texts += [("validation", f"another one: {n} and {'xyz' * n}.") for n in range(9)]
    write_corpus(texts, ByteTokeniser(), 1, {}, study.corpus)
    for cell in CELLS:
        study.train(cell)
        for levels in LEVELS:
            study.certify(cell, levels)
    for name in NGRAMS:
        study.certify_ngram(name)
    return study


# ---- every training program, alike -----------------------------------------------------------------

TIMES = {"seconds", "images_per_second", "tokens_per_s"}
KINDS = ("pretraining", "fast pretraining", "fusion", "fast fusion", "finetuning", "subspace", "sublora")


@dataclass(frozen=True)
class Training:
    """A training of one of `KINDS`, to be made or made; everything that it writes lies below `where`."""

    where: Path
    step: Callable[..., object]

    def train(self, save_interval_s: float = 0.0, **changes: Any) -> "Training":
        """Train to the end; `changes` are fields of its files."""
        self.step(save_interval_s=save_interval_s, **changes)
        return self

    @property
    def resume(self) -> Path:
        return self.where / "resume"

    @property
    def ends(self) -> dict[str, Any]:
        """What it left: weights and bitstreams byte by byte, and its logs without the columns of measured time."""
        binary = [path for kind in ("safetensors", "cfqv") for path in self.where.rglob(f"*.{kind}")]
        found: dict[str, Any] = {
            str(path.relative_to(self.where)): path.read_bytes() for path in binary if self.resume not in path.parents
        }
        for path in self.where.rglob("*.csv"):
            rows = [{key: row[key] for key in row if key not in TIMES} for row in read_rows(path)]
            found[str(path.relative_to(self.where))] = rows
        return found


@pytest.fixture(scope="session")
def begin(tiny, certified, language) -> Callable[[str, Path], Training]:
    """`begin(kind, where)`: a training that has not begun."""

    def pretrain(architecture: dict[str, Any], training: ExpertTraining, where: Path, **changes: Any) -> None:
        cell = Member(architecture["name"], 0, "expert_0")
        step = PretrainExpert(cell=cell, architecture=architecture, training=training, execution=EXECUTION)
        pretrain_expert(step, tiny.pretraining_files(where, **changes))

    plain = ExpertTraining(epochs=4, batch_size=16, lr=0.05, warmup_epochs=0.5, augmentation="cutmix")
    fast = overridden(plain, None, **FAST, schedule="triangular", train_norm_scales=False, batch_norm_momentum=0.4)

    def subspace(where: Path, **changes: Any) -> None:
        certified.certify(where, files=certified.files(where, log_file=where / "logs" / "log.csv", **changes))

    def sublora(where: Path, **changes: Any) -> None:
        names = {"manifest": where / "manifest.json", "log_file": where / "full_precision.csv"}
        names["resume_dir"] = where / "resume"
        language.train(CELLS[0], **names, **changes)

    joint = {"epochs": 4, "dropout": 0.3, "expert_accumulation_steps": 3}
    steps: dict[str, Callable[..., object]] = {
        "pretraining": partial(pretrain, {"name": "resnet", "width": 4, "blocks": [1, 1]}, plain),
        "fast pretraining": partial(pretrain, {"name": "speednet", "widths": [4, 6, 8]}, fast),
        "fusion": lambda where, **changes: tiny.train(where, fusion="TransformerBase", files=changes, **joint),
        "fast fusion": lambda where, **changes: tiny.train(where, files=changes, **joint, **FAST),
        "finetuning": lambda where, **changes: tiny.train(where, fusion=None, files=changes, epochs=4),
        "subspace": subspace,
        "sublora": sublora,
    }
    assert tuple(steps) == KINDS
    return lambda kind, where: Training(where, lambda **changes: steps[kind](where, **changes))


@pytest.fixture(scope="session")
def uninterrupted(begin, tmp_path_factory) -> Callable[[str], Training]:
    """`uninterrupted(kind)`: the training of that kind that nothing disturbed, made once."""
    made: dict[str, Training] = {}

    def of(kind: str) -> Training:
        if kind not in made:
            made[kind] = begin(kind, tmp_path_factory.mktemp(kind)).train()
        return made[kind]

    return of
