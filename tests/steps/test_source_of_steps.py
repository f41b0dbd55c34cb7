"""Whatever a step runs counts in its source fingerprint: every function of the library that it calls, by tracing."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from script_modules import LIBRARY, SCRIPTS

from certifuse.base import fingerprint
from certifuse.steps.certify_joint import certify_joint
from certifuse.steps.certify_ngram import certify_ngram
from certifuse.steps.certify_sublora import certify_sublora
from certifuse.steps.certify_subspace import certify_subspace
from certifuse.steps.evaluate_baselines import evaluate_baselines
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.steps.finetune_experts import finetune_experts
from certifuse.steps.gather import gather
from certifuse.steps.gather_certificates import gather_certificates
from certifuse.steps.gather_gates import gather_gates
from certifuse.steps.gather_sublora import gather_sublora
from certifuse.steps.prepare_images import prepare_images
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.split_images import split_images
from certifuse.steps.train_fusion import train_fusion
from certifuse.steps.train_sublora import train_sublora
from certifuse.study.cells import Cell, Family, Member, SubloraCell, SubspaceCell
from certifuse.study.settings.data import SplitSettings
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.certificates import CertifyJoint
from certifuse.study.steps.data import PrepareImages, SplitImages
from certifuse.study.steps.gathering import Gather, GatherCertificates, GatherGates, GatheringFiles, GatherSublora
from certifuse.study.steps.language import CertifyNgram, TrainSublora
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion, PretrainExpert

Place = tuple[str, str]
"""A module of the library, and a function or class at its top."""
CELL = Cell("resnet", "concatenation", "1.0", 0)
LEARNED = SubloraCell(40, "learned", 7)


@contextmanager
def calls() -> Iterator[set[Place]]:
    """The places of all functions of the library that are called meanwhile, in any thread."""
    codes = set()

    def note(frame, event, argument):
        if event == "call":
            codes.add(frame.f_code)

    found: set[Place] = set()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    for code in codes:
        path, name = Path(code.co_filename), code.co_qualname.partition(".")[0]
        if path.is_relative_to(LIBRARY) and not name.startswith("<"):  # <module>, or a lambda in a constant
            found.add((".".join(("certifuse", *path.relative_to(LIBRARY).with_suffix("").parts)), name))


@pytest.fixture
def begin(tiny, certified, language, tmp_path) -> dict[str, Callable[[], tuple]]:
    """By rule: the step as a function, its settings and its files."""
    data = {"images": tiny.images, "splits": tiny.splits, "source": "test"}
    scores = {"evaluation": EvaluationSettings(), "execution": certified.step().execution}
    trained = certified.tiny.root / "trained" / "cell"
    results = GatheringFiles(results_dir=tmp_path, source="test")
    of_language = GatheringFiles(results_dir=language.root, source="test")

    def pretraining():
        training = ExpertTraining(epochs=2, batch_size=16, augmentation="cutmix")
        run = tiny.fusion_step()
        step = PretrainExpert(
            cell=Member("resnet", 0, "expert_0"),
            architecture=run.architecture,
            training=training,
            execution=run.execution,
        )
        return pretrain_expert, step, tiny.pretraining_files(tmp_path)

    def fusion(rule):
        run = tiny.prepare(tmp_path, fusion=rule, distillation_weight=0.1)
        return (train_fusion if rule else finetune_experts), run.step, run.files

    def scored():
        own = {"images": certified.tiny.images, "splits": certified.tiny.splits, "source": "test"}
        files = EvaluateFusion.Files(**own, components=trained, output=tmp_path)
        return evaluate_fusion, EvaluateFusion(cell=CELL, **scores), files

    def compared():
        files = EvaluateBaselines.Files(**data, experts=tiny.experts, single=tiny.experts[:1], output=tmp_path)
        return evaluate_baselines, EvaluateBaselines(cell=Family("resnet", 0), **scores), files

    def jointly():
        step = CertifyJoint(cell=CELL, delta=0.1, levels=9, threads=1)
        return certify_joint, step, certified.joint_files(trained, tmp_path)

    def split():
        files = SplitImages.Files(images=tiny.images, output=tmp_path / "s", summary=tmp_path / "j", source="test")
        return split_images, SplitImages(splits=SplitSettings(experts=2)), files

    def digits():
        files = PrepareImages.Files(output=tmp_path / "images", source="test")
        return prepare_images, PrepareImages(data={"source": "digits"}), files

    def ngram():
        bounds = language.step().bounds
        step = CertifyNgram(ngram="bigram", bounds=bounds, validation_documents=6)
        return certify_ngram, step, CertifyNgram.Files(corpus=language.corpus, output=tmp_path, source="test")

    def sublora():
        names = {"manifest": tmp_path / "manifest.json", "log_file": tmp_path / "log.csv"}
        own = {name: tmp_path / name for name in ("resume_dir", "telemetry_dir")}
        step = language.training_step(LEARNED)
        return train_sublora, step, TrainSublora.Files(corpus=language.corpus, source="test", **names, **own)

    subspace = (SubspaceCell(*CELL, 8),)
    gathered = GatherSublora(levels=(3, 7), cells=(LEARNED,), ngrams=("uniform",))
    return {
        "pretrain_expert": pretraining,
        "train_fusion": lambda: fusion("TransformerBase"),
        "finetune_experts": lambda: fusion(None),
        "evaluate_fusion": scored,
        "evaluate_baselines": compared,
        "certify_subspace": lambda: (certify_subspace, certified.step(), certified.files(tmp_path)),
        "certify_joint": jointly,
        "split_images": split,
        "prepare_images": digits,
        "train_sublora": sublora,
        "certify_sublora": lambda: (certify_sublora, language.step(), language.files(LEARNED, 3, tmp_path)),
        "certify_ngram": ngram,
        "gather": lambda: (gather, Gather(cells=(CELL,), trainings=()), results),
        "gather_certificates": lambda: (
            gather_certificates,
            GatherCertificates(scheme="iid", levels=(3,), subspace=subspace, joint=(CELL,)),
            results,
        ),
        "gather_sublora": lambda: (gather_sublora, gathered, of_language),
        "gather_gates": lambda: (gather_gates, GatherGates(cells=(LEARNED,)), of_language),
    }


RULES = (
    *("pretrain_expert", "train_fusion", "finetune_experts", "evaluate_fusion", "evaluate_baselines"),
    *("certify_subspace", "certify_joint", "split_images", "prepare_images", "train_sublora", "certify_sublora"),
    *("certify_ngram", "gather", "gather_certificates", "gather_sublora", "gather_gates"),
)


@pytest.mark.parametrize("rule", RULES)
def test_every_function_that_a_step_calls_counts(begin, rule):
    run, step, files = begin[rule]()
    with calls() as called:
        run(step, files)
    script = SCRIPTS[0].with_name(f"{rule}.py")
    counted = {tuple(part.split(":")[:2]) for part in fingerprint._counted(script, script.name, step.modules())}
    assert (f"certifuse.steps.{rule}", rule) in called
    assert len(called) > 20
    assert sorted(called - counted) == []


def test_without_the_modules_of_a_cell_its_network_would_be_missed(begin):
    """Negative control."""
    run, step, files = begin["pretrain_expert"]()
    with calls() as called:
        run(step, files)
    script = SCRIPTS[0].with_name("pretrain_expert.py")
    counted = {tuple(part.split(":")[:2]) for part in fingerprint._counted(script, script.name, ())}
    assert ("certifuse.models.images.architectures.resnet", "ResNet") in called - counted
