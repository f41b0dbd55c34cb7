"""Files of a study that its rules wait for, as Snakemake asks for them."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from certifuse.study import paths
from certifuse.study.cells import Cell, Family, Named
from certifuse.study.settings.sublora import LEARNED, NULLS
from certifuse.study.study import Study


def exactly(values: Iterable[object]) -> str:
    """The pattern of a wildcard that is one of these values; without any nothing fits."""
    return "|".join(map(str, values)) or "(?!)"


def image_files(study: Study) -> list[str]:
    """The user's own images, if there are any."""
    make = "; set it, or write the images of CIFAR there by workflow/cifar_to_npz.py"
    return _of_the_user("data.path", [study.image_file], make) if study.image_file else []


def corpus_files(study: Study) -> list[str]:
    """The user's own documents."""
    return _of_the_user("sublora.corpus", study.language.corpus.files, ": mend train or validation")


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
    """The files that are there and how old, with `only_finished`: a gathering rule depends on this, not on inputs."""
    there = [file for file in files if study.only_finished and Path(file).is_file()]
    return [f"{file}@{Path(file).stat().st_mtime_ns}" for file in there]


def each(cells: Iterable[Named], *templates: str, **others: object) -> list[str]:
    """The files of every cell, by their templates; `others` are fields that the cells have not."""
    return [template.format(**cell.names(), **others) for cell in cells for template in templates]


def single_model(study: Study, template: str, names: Mapping[str, str], member: str) -> list[str]:
    """A model of a family that is trained on all training images, where the study trains it."""
    family = Family.of(names)
    return each([family], template, member=member) if member in study.single_models(*family) else []


def initial_components(study: Study, names: Mapping[str, str], results_dir: str) -> list[str]:
    """The earlier components that a cell continues from, where the study names some.

    Of a directory of this study the complete file, which is written with the others and may have to be made first;
    elsewhere every component there is, since each of them is read. `results_dir` is where this study really is.
    """
    cell = Cell.of(names)
    template = study.fusion.resolved(cell.fusion).initial_components
    if template is None:
        return []
    directory = Path(template.format(**cell.names()))
    if directory.resolve().is_relative_to(Path(results_dir).resolve()):
        return [str(directory / paths.COMPLETE_FILE)]
    stored = sorted(str(file) for kind in paths.COMPONENT_FOLDERS for file in (directory / kind).glob("*.safetensors"))
    if not stored:
        expected = f"components below {', '.join(paths.COMPONENT_FOLDERS)} in {directory}"
        sys.exit(f"config: fusion.initial_components: expected {expected}, found none: name another directory")
    return stored


def learned_weights(weights: str, names: Mapping[str, str]) -> list[str]:
    """The weights of mode `learned`, of the same d and seed, for a null that trains with its splits."""
    return [weights.format(**{**names, "mode": LEARNED})] if NULLS.get(names["mode"]) else []
