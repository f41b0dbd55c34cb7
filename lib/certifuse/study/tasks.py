"""The trainings and evaluations of a study, and the files that tell how far each of them is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from certifuse.study import paths
from certifuse.study.cells import FINETUNED
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.settings.sublora import SubloraSettings
from certifuse.study.study import Study

TRAIN_FUSION = "train_fusion/{architecture}_{fusion}_lambda_{lambda}_seed_{seed}"
EVALUATE_FUSION = "evaluate_fusion/{architecture}_{fusion}_lambda_{lambda}_seed_{seed}"
PRETRAIN_EXPERT = "pretrain_expert/{architecture}_seed_{seed}_{member}"
FINETUNE_EXPERTS = "finetune_experts/{architecture}_seed_{seed}"
EVALUATE_BASELINES = "evaluate_baselines/{architecture}_seed_{seed}"
CERTIFY_SUBSPACE = "certify_subspace/{architecture}_{fusion}_lambda_{lambda}_seed_{seed}_d_{d}"
CERTIFY_JOINT = "certify_joint/{architecture}_{fusion}_lambda_{lambda}_seed_{seed}"
TRAIN_SUBLORA = "train_sublora/d_{d}_{mode}_seed_{seed}"
CERTIFY_SUBLORA = "certify_sublora/d_{d}_{mode}_seed_{seed}_levels_{levels}"
CERTIFY_NGRAM = "certify_ngram/{ngram}"
DRAW_FIGURE = "draw_figure/{figure}"
"""Rule and wildcards: what logs and resume state are named after."""

GROUPS = ("fusion", "experts", "finetuned", "baselines", "certificates", "language", "language certificates")


@dataclass(frozen=True)
class Training:
    """The files of one training job; `manifest` is written last."""

    manifest: Path
    csv: Path
    log: Path
    resume: Path
    epochs: int | None


@dataclass(frozen=True)
class Evaluation:
    """The files of one evaluation job; `metrics` is written last."""

    metrics: Path
    log: Path


@dataclass(frozen=True)
class Task:
    """A training, an evaluation, or one after the other. `group` is one of `GROUPS`."""

    group: str
    step: str
    labels: dict[str, Any]
    training: Training | None
    evaluation: Evaluation | None


def study_tasks(study: Study) -> Iterator[Task]:
    """Every cell of the grid, then what is trained and scored for each (architecture, seed), then the certificates."""
    root = Path(study.results_dir)
    for cell in study.cells:
        names = cell.names()
        manifest = f"{paths.CELL_DIR}/{paths.MANIFEST_FILE}"
        epochs = study.fusion.resolved(cell.fusion).epochs
        training = _training(root, TRAIN_FUSION, manifest, paths.CELL_LOG, names, epochs)
        evaluation = _evaluation(root, EVALUATE_FUSION, paths.CELL_METRICS, names)
        yield Task("fusion", "fusion", names, training, evaluation)
    for family in study.families:
        yield from _family_tasks(study, root, family.names())
    yield from _certificate_tasks(study, root)
    if study.sublora is not None:
        yield from _language_tasks(study, study.sublora, root)


def _family_tasks(study: Study, root: Path, family: dict[str, Any]) -> Iterator[Task]:
    epochs = study.pretraining.resolved(family["architecture"]).epochs
    for member in study.members(family["architecture"], family["seed"]):
        names = family | {"member": member}
        training = _training(root, PRETRAIN_EXPERT, paths.MEMBER_MANIFEST, paths.MEMBER_LOG, names, epochs)
        yield Task("experts", member, family, training, None)
    if study.baselines.finetuned_average:
        files = (paths.FINETUNED_MANIFEST, paths.FINETUNED_LOG)
        finetuning_epochs = study.fusion.resolved(study.baselines.finetuned_as).epochs
        training = _training(root, FINETUNE_EXPERTS, *files, family, finetuning_epochs)
        yield Task("finetuned", FINETUNED, family, training, None)
    evaluation = _evaluation(root, EVALUATE_BASELINES, paths.BASELINE_METRICS, family)
    yield Task("baselines", "baselines", family, None, evaluation)


def _certificate_tasks(study: Study, root: Path) -> Iterator[Task]:
    for subspace in study.subspace_cells:
        names = subspace.names()
        manifest, csv = f"{paths.SUBSPACE_DIR}/{paths.MANIFEST_FILE}", f"{paths.SUBSPACE_LOG_DIR}/full_precision.csv"
        training = _training(root, CERTIFY_SUBSPACE, manifest, csv, names, study.certificates.training.epochs)
        training = replace(training, resume=training.resume / "full_precision")
        yield Task("certificates", f"d = {subspace.d}", names, training, None)
    for cell in study.certified_cells:
        evaluation = _certification(root, CERTIFY_JOINT, paths.JOINT_CERTIFICATE_DIR, cell.names())
        yield Task("certificates", "joint", cell.names(), None, evaluation)


def _language_tasks(study: Study, sublora: SubloraSettings, root: Path) -> Iterator[Task]:
    stretches = -(-sublora.training.steps // sublora.training.validate_every)
    for cell in study.sublora_cells:
        names = cell.names()
        manifest, csv = f"{paths.SUBLORA_DIR}/{paths.MANIFEST_FILE}", f"{paths.SUBLORA_LOG_DIR}/full_precision.csv"
        training = _training(root, TRAIN_SUBLORA, manifest, csv, names, stretches)
        training = replace(training, resume=training.resume / "full_precision")
        yield Task("language", f"d = {cell.d} {cell.mode}", names, training, None)
        for levels in sublora.levels:
            own = names | {"levels": levels}
            evaluation = _certification(root, CERTIFY_SUBLORA, paths.SUBLORA_CERTIFICATE_DIR, own)
            yield Task("language certificates", f"d = {cell.d} {cell.mode} L = {levels}", own, None, evaluation)
    for name in sublora.ngrams:
        evaluation = _certification(root, CERTIFY_NGRAM, paths.NGRAM_DIR, {"ngram": name})
        yield Task("language certificates", name, {"ngram": name}, None, evaluation)


def _training(root: Path, job: str, manifest: str, csv: str, names: dict[str, Any], epochs: int | None) -> Training:
    return Training(
        manifest=root / manifest.format(**names),
        csv=root / csv.format(**names),
        log=root / "logs" / f"{job.format(**names)}.log",
        resume=root / paths.RESUME_DIR / job.format(**names),
        epochs=epochs,
    )


def _evaluation(root: Path, job: str, metrics: str, names: dict[str, Any]) -> Evaluation:
    return Evaluation(root / metrics.format(**names) / "metrics.csv", root / "logs" / f"{job.format(**names)}.log")


def _certification(root: Path, job: str, directory: str, names: dict[str, Any]) -> Evaluation:
    certificate = root / directory.format(**names) / CERTIFICATE_FILE
    return Evaluation(certificate, root / "logs" / f"{job.format(**names)}.log")
