"""Which files of a study the gathering rules wait for, as Snakemake asks for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certifuse import layout
from certifuse.study import SINGLE, Study


def cell_files(study: Study, templates: Sequence[str]) -> list[str]:
    """The files of every cell; with `only_finished`, of the cells that have all of them."""
    groups = [[template.format(**cell._asdict()) for template in templates] for cell in study.cells]
    return [path for group in groups if not study.only_finished or _all_exist(group) for path in group]


def family_files(study: Study, template: str) -> list[str]:
    """One file of every (architecture, seed); with `only_finished`, those that exist."""
    paths = [template.format(architecture=architecture, seed=seed) for architecture, seed in study.families]
    return [path for path in paths if not study.only_finished or _all_exist([path])]


def single_model(study: Study, template: str, wildcards: Any) -> list[str]:
    """The single model of a family where the study trains one."""
    if not study.has_single(int(wildcards.seed)):
        return []
    return [template.format(architecture=wildcards.architecture, seed=wildcards.seed, member=SINGLE)]


def initial_components(study: Study, wildcards: Any) -> list[str]:
    """The complete file beside the earlier components that a cell continues from, where the study names some."""
    template = study.fusion.resolved(wildcards.fusion).initial_components
    if template is None:
        return []
    names = {"architecture": wildcards.architecture, "fusion": wildcards.fusion, "seed": wildcards.seed}
    directory = template.format(**names, **{"lambda": wildcards.lam, "lam": wildcards.lam})
    return [f"{directory}/{layout.COMPLETE_FILE}"]


def _all_exist(paths: Sequence[str]) -> bool:
    return all(Path(path).is_file() for path in paths)
