"""Selection of component files by a command line: the run, the epoch of it, its parts."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.models.components.assembly import Found, find_components
from certifuse.models.components.files import read_header
from certifuse.study import paths

SELECTORS = {"architecture": "architecture", "fusion": "fusion_type", "lambda": "lambda", "seed": "seed"}
"""Names that tell the runs below a directory apart: the key in a component's metadata, and the option."""
RUN_OPTIONS = (*SELECTORS.values(), "epoch")
PART_OPTIONS = ("experts", "fusion", "global_head", "num_experts")

SHOWN_CANDIDATES = 8


def given(arguments: argparse.Namespace, options: Iterable[str]) -> str:
    """Those of the options that the command line holds, as they are written there."""
    return ", ".join(_written(name) for name in options if getattr(arguments, name, None) is not None)


def _written(option: str) -> str:
    return f"--{option.replace('_', '-')}"


# ---- which run -----------------------------------------------------------------------------------


def run_of(arguments: argparse.Namespace) -> Path:
    """The directory of the one run, or stored epoch of it, that the command line selects."""
    wanted = {key: getattr(arguments, option) for key, option in SELECTORS.items()}
    run = choose_run(arguments.source, {key: value for key, value in wanted.items() if value is not None})
    if arguments.epoch is None:
        return run
    directory: Path = run / "epochs" / f"epoch_{arguments.epoch}"
    if not directory.is_dir():
        stored = sorted((path.name.removeprefix("epoch_") for path in run.glob("epochs/epoch_*")), key=int)
        found = ", ".join(stored) or "none"
        raise UserError(f"{run}: expected stored components of epoch {arguments.epoch}, found {found}")
    return directory


def choose_run(directory: Path, wanted: Mapping[str, Any]) -> Path:
    """`directory` where it holds components itself, else the one run below it; its metadata have the wanted values.

    Raises:
        UserError: no run fits, or several do; the message lists what there is to choose from.
    """
    if not directory.is_dir():
        found = "a file" if directory.is_file() else "nothing"
        raise UserError(f"{directory}: expected a directory of components, found {found}: check the path")
    runs = {run: _about_of_run(run) for run in run_directories(directory)}
    if not runs:
        raise UserError(f"{directory}: expected components below experts/, fusion/ and global/, found none")
    fitting = [run for run, about in runs.items() if all(_same(about.get(key), wanted[key]) for key in wanted)]
    if not fitting:
        asked = ", ".join(f"{_written(SELECTORS[key])} {value}" for key, value in wanted.items())
        raise UserError(f"{directory}: expected a run with {asked}, found none: there are {_choices(runs.values(), 1)}")
    if len(fitting) > 1:
        candidates = [str(run.relative_to(directory)) for run in fitting]
        more = f" and {len(candidates) - SHOWN_CANDIDATES} more" if len(candidates) > SHOWN_CANDIDATES else ""
        choices = _choices([runs[run] for run in fitting], 2) or "the path of one"
        raise UserError(
            f"{directory}: expected one run, found {len(candidates)}: choose with {choices}; "
            f"candidates: {', '.join(candidates[:SHOWN_CANDIDATES])}{more}"
        )
    return fitting[0]


def run_directories(directory: Path) -> list[Path]:
    """The directory itself where it holds components, else every run below it, without the runs' stored epochs."""
    if any(_holds_parts(directory / part) for part in paths.COMPONENT_FOLDERS):
        return [directory]
    found = {path.parent for path in directory.rglob(paths.COMPLETE_FILE)}
    found |= {part.parent for name in paths.COMPONENT_FOLDERS for part in directory.rglob(name) if _holds_parts(part)}
    return sorted(run for run in found if "epochs" not in run.relative_to(directory).parts)


def _holds_parts(directory: Path) -> bool:
    return any(directory.glob("*.safetensors"))


def _about_of_run(run: Path) -> dict[str, Any]:
    """The metadata of the first component that can be read; damage is reported once the run is chosen."""
    for path in [*sorted(run.glob("*/*.safetensors")), run / paths.COMPLETE_FILE]:
        try:
            about: dict[str, Any] = read_header(path)["about"]
        except UserError:
            continue
        return about
    return {}


def _same(found: Any, wanted: Any) -> bool:
    """Compare two labels, as numbers where both are: `1` finds lambda 1.0."""
    try:
        return float(found) == float(wanted)
    except (TypeError, ValueError):
        return bool(found == wanted)


def _choices(abouts: Iterable[Mapping[str, Any]], least: int) -> str:
    """The options that have at least `least` different values among these runs, each with its values."""
    runs = list(abouts)
    values = {key: sorted({str(about[key]) for about in runs if key in about}) for key in SELECTORS}
    return ", ".join(f"{_written(SELECTORS[key])} ({', '.join(of)})" for key, of in values.items() if len(of) >= least)


# ---- which parts of it ---------------------------------------------------------------------------


def choose_components(arguments: argparse.Namespace) -> tuple[Found, list[str]]:
    """The component files that a command line asks for, and notes on what it leaves out.

    Files that are named replace those of the directory. With `--num-experts` below what the directory's fusion
    module expects, module and head are left out, and the network is the average of these experts. A fusion module
    or head that is named is demanded: then the misfit is for `assemble` to refuse.
    """
    if arguments.source is None and (options := given(arguments, RUN_OPTIONS)):
        raise UserError(f"{options}: expected a directory to choose a run from, found none: name it")
    found = Found([], None, None) if arguments.source is None else find_components(run_of(arguments))
    experts = list(arguments.experts or found.experts)
    fusion, head = arguments.fusion or found.fusion, arguments.global_head or found.global_head
    if not experts:
        raise UserError("expected experts, found none: name a directory of components, or files with --experts")
    if fusion is None and head is not None:
        raise UserError(f"{head}: expected a fusion module to go with this global head, found none: add --fusion")
    if arguments.num_experts is None:
        return Found(experts, fusion, head), []
    number, demanded = arguments.num_experts, arguments.fusion or arguments.global_head
    if number > len(experts):
        raise UserError(f"--num-experts {number}: expected at most {len(experts)}, the experts that were found")
    experts = experts[:number]
    expected = None if fusion is None or demanded else read_header(fusion)["spec"].get("experts")
    if expected is None or number >= expected:
        return Found(experts, fusion, head), []
    what = "is this expert alone" if number == 1 else f"averages the probabilities of these {number} experts"
    note = f"the fusion module expects {expected} experts and is left out: the network {what}"
    return Found(experts, None, None), [note]
