"""What becomes of a mutant of a configuration: it is used, it means the same, or it is refused by its path."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from config_mutants import BASES, Mutant, Place, at, places_in
from pydantic import BaseModel

from certifuse.base.errors import UserError
from certifuse.study.cells import WIDER, Cell
from certifuse.study.figures import FIGURES, Drawing
from certifuse.study.reading.plain_values import dotted
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.augmentation import AUGMENTATIONS
from certifuse.study.settings.fusion import ATTENTION, ATTENTION_RULES, FUSION_ONLY, FUSIONS, GUIDE_DEFAULTS
from certifuse.study.settings.sublora import NULLS, PLAIN_MODES
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace
from certifuse.study.steps.data import PrepareCorpus, PrepareImages, SplitImages
from certifuse.study.steps.gathering import CompareCells, Gather, GatherCertificates, GatherGates, GatherSublora
from certifuse.study.steps.language import CertifyNgram, CertifySublora, TrainSublora
from certifuse.study.steps.reporting import DrawFigure, WriteCertificateTables, WriteSubloraTables, WriteTables
from certifuse.study.steps.training import (
    EvaluateBaselines,
    EvaluateFusion,
    FinetuneExperts,
    PretrainExpert,
    TrainFusion,
)
from certifuse.study.study import Study, read_study

Reader = Callable[[Any], Study]


def seen_by_the_workflow(study: Study) -> dict[str, Any]:
    """All that rules and tools read of a study: the settings of every step, the jobs, and what the Snakefile asks for.

    The settings are those of every architecture, rule, mode and figure, whether or not the study has it.
    """
    seeds = {seed for _, seed in study.families} | set(study.baselines.single_model_seeds)
    seen: dict[str, Any] = {
        "jobs": (study.cells, study.families, study.subspace_cells, study.certified_cells, study.sublora_cells),
        "shell": (study.results_dir, study.jobs_per_gpu, study.execution.threads, study.splits.experts),
        "choices": (study.only_finished, study.baselines.finetuned_average, study.name, study.image_file),
        "single": [study.single_models(name, seed) for name in ARCHITECTURE_SETTINGS for seed in sorted(seeds)],
        "images": study.data and PrepareImages.of(study, {}),
        "steps": [step.of(study, {}) for step in OF_STUDY],
        "scores": (EvaluateFusion.of(study, cell("resnet")), EvaluateBaselines.of(study, cell("resnet"))),
        "joint": CertifyJoint.of(study, cell("resnet")),
        "subspace": [CertifySubspace.of(study, cell("resnet", rule) | {"d": 4}) for rule in FUSIONS],
        "figures": [DrawFigure.of(study, {"figure": place}) for place in study.drawings],
        "styles": {name: study.style_of(Drawing(name, figure)) for name, figure in FIGURES.items()},
        "fetched": study.may_download_images,
        "initial": [study.fusion.resolved(rule).initial_components for rule in FUSIONS],
    }
    for name in ARCHITECTURE_SETTINGS:
        members = ["expert_0", WIDER] if getattr(study.baselines.wider_single, name) else ["expert_0"]
        seen[name] = [PretrainExpert.of(study, cell(name) | {"member": member}) for member in members]
        seen[f"finetuned {name}"] = FinetuneExperts.of(study, cell(name))
        seen[f"joint {name}"] = [TrainFusion.of(study, cell(name, rule)) for rule in FUSIONS]
    if study.sublora is not None:
        modes = [{"d": 9, "mode": mode, "seed": 0} for mode in (*PLAIN_MODES, *NULLS, "fixed_0.2")]
        seen["language"] = [TrainSublora.of(study, names) for names in modes], study.sublora.training.processes
        seen["bounds"] = (
            PrepareCorpus.of(study, {}),
            CertifySublora.of(study, modes[0] | {"levels": 3}),
            CertifyNgram.of(study, {"ngram": "unigram"}),
        )
        seen["language gathering"] = [step.of(study, {}) for step in OF_LANGUAGE]
        seen["documents"] = study.sublora.corpus.files, study.sublora.corpus.may_download
    return seen


OF_STUDY = (SplitImages, Gather, CompareCells, GatherCertificates, WriteTables, WriteCertificateTables)
OF_LANGUAGE = (GatherSublora, GatherGates, WriteSubloraTables)


def cell(architecture: str, rule: str = "concatenation") -> dict[str, Any]:
    """The wildcards of a cell."""
    return Cell(architecture, rule, "1.0", 0).names()


def layered(study: Study, section: str, per: str, names: Any, guides: Any) -> dict[str, dict[str, Any]]:
    """What holds for each name: its overrides over the section over the guides, by plain dictionaries."""
    found = getattr(study, section)
    own = found.model_dump(mode="json", exclude={per})
    layers = found.model_dump(mode="json", exclude_unset=True).get(per, {})
    merged = {name: {**own, **layers.get(name, {})} for name in names}
    return {
        name: {key: guides.get(name, {}).get(key) if value is None else value for key, value in values.items()}
        for name, values in merged.items()
    }


def meaning(study: Study) -> dict[str, Any]:
    """All values of a study, but for the six places where other words can say the same.

    Overrides that say what holds anyway; keys of another fusion rule; the rule whose training the control shares; the
    blocks of the grid, of certificates and of language models, which are unions.
    """
    values = study.plain()
    values["pretraining"] = layered(study, "pretraining", "per_architecture", ARCHITECTURE_SETTINGS, {})
    values["fusion"] = layered(study, "fusion", "per_fusion", FUSIONS, GUIDE_DEFAULTS)
    for rule in set(FUSIONS) - set(ATTENTION_RULES):
        values["fusion"][rule] = {key: value for key, value in values["fusion"][rule].items() if key not in ATTENTION}
    for training in (*values["pretraining"].values(), *values["fusion"].values()):
        if training.get("optimizer") != "muon":
            training.pop("muon", None)
    control = values["fusion"][study.baselines.finetuned_as]
    values["baselines"]["finetuned_as"] = {key: value for key, value in control.items() if key not in FUSION_ONLY}
    values["grid"] = study.cells
    values["certificates"]["blocks"] = study.subspace_cells
    if study.sublora is not None:
        values["sublora"]["grid"] = study.sublora_cells
    return values


def every_value(value: Any) -> Any:
    """Settings as plain values, with the keys that are left out of a job's settings at their default."""
    if isinstance(value, BaseModel):
        return {name: every_value(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: every_value(inner) for key, inner in value.items()}
    return [every_value(inner) for inner in value] if isinstance(value, tuple) else value


def lost(written: Any, read: Any, place: Place = ()) -> Iterator[str]:
    """What a configuration says and the study does not: every key and value must be there, in a normal form at most."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from lost(value, read[key], (*place, key))
            else:
                yield f"{dotted((*place, key))} is ignored"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (value, other) in enumerate(zip(written, read, strict=True)):
            yield from lost(value, other, (*place, index))
    elif not says_the_same(written, read, place):
        yield f"{dotted(place)} is read as {read!r}, not as {written!r}"


def says_the_same(written: Any, read: Any, place: Place) -> bool:
    """Equal, or one of the normal forms: whole numbers and `1e-4` as reals, recipes by name, one spelling of a path."""
    if type(written) is type(read):
        return bool(written == read) or (place == ("results_dir",) and Path(written) == Path(read))
    if isinstance(read, float):
        return isinstance(written, int | str) and float(written) == read
    return isinstance(written, str) and written in AUGMENTATIONS and AUGMENTATIONS[written].plain() == read


SAYS = re.compile(r"expected .*, found |allowed: .*|; found |this key is required")


def unrelated(mutant: Mutant, lines: list[str]) -> list[str]:
    """The lines of a refusal that do not begin with the path of a mutated key, or do not say what is wrong.

    For an item the path of its list is as good; `source` decides which keys stand beside it. Where keys must agree, the
    line begins with one of them and names the others.
    """
    return [line for line in lines if not (SAYS.search(line) and any(names(mutant, p, line) for p in mutant.places))]


def names(mutant: Mutant, place: Place, line: str) -> bool:
    of_parent = len(place) > 1 and (place[-1] == "source" or isinstance(place[-1], int))
    paths = [place, place[:-1]] if of_parent else [place]
    if any(re.match(rf"config: {re.escape(dotted(path))}[.:]", line) for path in paths):
        return True
    try:
        before = at(BASES[mutant.base], place)
    except (KeyError, IndexError, TypeError):
        before = None
    keys = {part for path in [place, *places_in(before)] for part in path if isinstance(part, str)}
    top = {place[0]} if len(place) > 1 else set()
    agreeing = any(re.search(rf"\b{re.escape(key)}\b", line.partition(": expected ")[2]) for key in keys - top)
    return line.startswith("config: ") and agreeing


def judge(mutant: Mutant, read: Reader = read_study) -> str:
    """`refused`, `used`, or `same` for another spelling of the same study; AssertionError for anything else."""
    try:
        study = read(mutant.config)
    except UserError as error:
        lines = str(error).splitlines()
        assert lines, f"{mutant}: refused without a word"
        assert not unrelated(mutant, lines), f"{mutant}: {unrelated(mutant, lines)}"
        assert max(map(len, lines)) < 1500
        return "refused"
    missing = list(lost(mutant.config, every_value(study)))
    assert not missing, f"{mutant}: {missing}"
    before = read_study(BASES[mutant.base])
    if seen_by_the_workflow(study) != seen_by_the_workflow(before):
        return "used"
    assert meaning(study) == meaning(before), f"{mutant}: accepted, and nothing sees it"
    return "same"
