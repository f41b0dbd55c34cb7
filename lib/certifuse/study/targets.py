"""Which files of a study the gathering rules wait for, as Snakemake asks for them."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from certifuse.study import paths
from certifuse.study.paths import SINGLE
from certifuse.study.settings.figures import SUBLORA_BUDGET_FIGURES, SUBLORA_FIGURES, SUBLORA_GATE_FIGURES
from certifuse.study.settings.sublora import LEARNED, NULLS
from certifuse.study.study import Study

_CERTIFIED = [name for name in SUBLORA_FIGURES if name not in SUBLORA_GATE_FIGURES]
CERTIFIED_FIGURES = tuple(name for name in _CERTIFIED if name not in SUBLORA_BUDGET_FIGURES)
"""Figures of the language models that rest on certificates, of the whole study."""
CERTIFIED_BUDGET_FIGURES = tuple(name for name in _CERTIFIED if name in SUBLORA_BUDGET_FIGURES)
"""Likewise, of one budget."""


def exactly(values: Iterable[object]) -> str:
    """The pattern of a wildcard that is one of these values; without any nothing fits."""
    return "|".join(map(str, values)) or "(?!)"


def image_files(study: Study) -> list[str]:
    """The user's own images, if there are any."""
    make = "; set it, or write the images of CIFAR there by workflow/cifar_to_npz.py"
    return _of_the_user("data.path", [study.image_file], make) if study.image_file else []


def corpus_files(study: Study) -> list[str]:
    """The user's own documents."""
    assert study.sublora is not None, "the rules of language models are for studies with a section sublora"
    return _of_the_user("sublora.corpus", study.sublora.corpus.files, ": mend train or validation")


def _of_the_user(key: str, files: Sequence[str], mend: str) -> list[str]:
    """Files that no rule makes. One that is missing ends the program in a line, where Snakemake would say it in ten."""
    for file in files:
        if not Path(file).is_file():
            sys.exit(f"config: {key}: expected a file at {file}, found none{mend}")
    return list(files)


def awaited(study: Study, files: Sequence[str]) -> list[str]:
    """The files that a gathering rule waits for; with `only_finished` none, so that nothing is run for them."""
    return [] if study.only_finished else list(files)


def finished(study: Study, files: Sequence[str]) -> list[str]:
    """With `only_finished`, what is there and how old: what a gathering rule depends on in place of its inputs."""
    return _seen(files) if study.only_finished else []


def _seen(files: Sequence[str]) -> list[str]:
    return [f"{file}@{Path(file).stat().st_mtime_ns}" for file in files if Path(file).is_file()]


def fusion_files(study: Study, of_cell: Sequence[str], of_family: str) -> list[str]:
    """The files of every cell, and one of every (architecture, seed)."""
    files = [template.format(**cell._asdict()) for cell in study.cells for template in of_cell]
    return files + [of_family.format(architecture=architecture, seed=seed) for architecture, seed in study.families]


def certificates(study: Study, subspace: Sequence[str], joint: Sequence[str]) -> list[str]:
    """The certificates of every training in a subspace, and of their cells in the grid."""
    files = [template.format(**cell._asdict()) for cell in study.subspace_cells for template in subspace]
    return files + [template.format(**cell._asdict()) for cell in study.certified_cells for template in joint]


def language_certificates(study: Study, sublora: str, ngram: str) -> list[str]:
    """The certificates of every language model, network or table of counts."""
    assert study.sublora is not None, "the rules of language models are for studies with a section sublora"
    files = [
        sublora.format(**cell._asdict(), levels=levels)
        for cell in study.sublora_cells
        for levels in study.sublora.levels
    ]
    return files + [ngram.format(ngram=name) for name in study.sublora.ngrams]


def learned_manifests(study: Study, manifest: str) -> list[str]:
    """The manifests of the trainings of mode `learned`."""
    return [manifest.format(**cell._asdict()) for cell in study.learned_cells]


def sublora_figures(study: Study, of_budget: Sequence[str], of_study: Sequence[str]) -> list[str]:
    """Every figure of the language models: those of the whole study, and those of one budget where it has any."""
    names = [name for name in SUBLORA_FIGURES if name not in SUBLORA_BUDGET_FIGURES]
    whole = [template.format(sublora_figure=name) for name in names for template in of_study]
    return whole + [
        template.format(sublora_figure=name, d=d)
        for name in SUBLORA_BUDGET_FIGURES
        for d in (study.learned_budgets if name in SUBLORA_GATE_FIGURES else study.sublora_budgets)
        for template in of_budget
    ]


def single_model(study: Study, template: str, wildcards: Any, member: str = SINGLE) -> list[str]:
    """A model of a family that is trained on all training images, where the study trains it."""
    architecture, seed = wildcards.architecture, wildcards.seed
    if member not in study.single_models(architecture, int(seed)):
        return []
    return [template.format(architecture=architecture, seed=seed, member=member)]


def initial_components(study: Study, wildcards: Any) -> list[str]:
    """The earlier components that a cell continues from, where the study names some.

    Of a directory of this study the complete file, which is written with the others and may have to be made first;
    elsewhere every component there is, since each of them is read.
    """
    template = study.fusion.resolved(wildcards.fusion).initial_components
    if template is None:
        return []
    names = {"architecture": wildcards.architecture, "fusion": wildcards.fusion, "seed": wildcards.seed}
    directory = Path(template.format(**names, **{"lambda": wildcards.lam, "lam": wildcards.lam}))
    if directory.resolve().is_relative_to(Path(study.results_dir).resolve()):
        return [str(directory / paths.COMPLETE_FILE)]
    stored = sorted(str(file) for kind in paths.COMPONENT_FOLDERS for file in (directory / kind).glob("*.safetensors"))
    if not stored:
        expected = f"components below {', '.join(paths.COMPONENT_FOLDERS)} in {directory}"
        sys.exit(f"config: fusion.initial_components: expected {expected}, found none: name another directory")
    return stored


def learned_weights(weights: str, wildcards: Any) -> list[str]:
    """The weights of mode `learned`, of the same d and seed, for a null that trains with its splits."""
    if not NULLS.get(wildcards.mode):
        return []
    return [weights.format(d=wildcards.d, mode=LEARNED, seed=wildcards.seed)]
