"""The lineage of a file as text: its state, the steps behind it, their settings, what changed, what nobody knows."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from certifuse.base.errors import printable
from certifuse.cli.provenance.gaps import LISTED, gaps
from certifuse.cli.provenance.lineage import Lineage, Reading
from certifuse.cli.provenance.runs import Run
from certifuse.cli.render import duration, shortened, table

WIDTH = 118
DIGITS = 12
DATA = ("data", "splits")
LONGEST = 60
COLUMNS = ("step", "runs", "of", "source", "settings", "commit", "machines", "wall", "finished (UTC)")
MIB = 2**20
SAID_OF_FILE = {
    "same": "as it was written",
    "changed": "CHANGED since it was written (then {recorded})",
    "not recorded": "no digest was recorded when it was written",
}


def report(name: str, lineage: Lineage, *, full: bool = False) -> str:
    """A summary for a terminal: a row for each step, and of long lists the first; all of them, uncut, if `full`."""
    run = lineage.runs[0]
    state = SAID_OF_FILE[lineage.state].format(recorded=str(lineage.recorded)[:DIGITS])
    touched = ", and its time is later or earlier than when it was made" if lineage.touched else ""
    head = [
        name,
        f"  sha256 {lineage.found[:DIGITS]}: {state}{touched}",
        f"  made by {run.label}, according to {lineage.witness}",
    ]
    groups = by_step(lineage.runs)
    rows = [_row(step, runs) for step, runs in groups.items()]
    sections = {
        "data": _data(lineage.readings),
        "settings and runtime": [line for step, those in groups.items() for line in _settings(step, those, full)],
        "commits": _first(_commits(lineage.runs), full),
        "packages": _packages(lineage.runs),
        "processors": list(dict.fromkeys(filter(None, (run.environment.get("processor") for run in lineage.runs)))),
        "inputs": _inputs(lineage.readings, full),
        "not recorded": _first(gaps(lineage), full),
    }
    parts = ["\n".join(map(printable, head)), table(rows, COLUMNS)]
    parts += [f"{title}\n" + "\n".join(map(_wrapped, lines)) for title, lines in sections.items() if lines]
    return "\n\n".join(parts)


def by_step(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each step, in the order of the first of them."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.step, []).append(run)
    return groups


def _row(step: str, runs: list[Run]) -> dict[str, Any]:
    walls = [run.wall_s for run in runs if run.wall_s is not None]
    finished = [run.finished for run in runs if run.finished]
    return {
        "step": step,
        "runs": len(runs),
        "of": _names(runs),
        "source": _one([run.source and run.source[:DIGITS] for run in runs]),
        "settings": _one([run.settings_digest and run.settings_digest[:DIGITS] for run in runs]),
        "commit": _one([_commit(run) for run in runs]),
        "machines": len({_machine(run) for run in runs} - {None}) or None,
        "wall": duration(sum(walls)) if walls else None,
        "finished (UTC)": max(finished)[:16].replace("T", " ") if finished else None,
    }


def _one(values: list[Any]) -> str | None:
    """The value that all share; otherwise how many there are."""
    distinct = set(values)
    if len(distinct) == 1:
        return values[0] if values[0] is None else str(values[0])
    return f"{len(distinct)} different"


def _commit(run: Run) -> str | None:
    commit = run.git.get("commit")
    if commit is None:
        return None
    digest = str(run.git.get("diff_sha256"))[:DIGITS]
    return f"{commit[:DIGITS]} + diff {digest}" if run.git.get("dirty") else str(commit[:DIGITS])


def _commits(runs: Iterable[Run]) -> list[str]:
    """Every commit with the number of its runs, where there are several."""
    counts = Counter(commit for run in runs if (commit := _commit(run)))
    return [f"{commit}: {count} runs" for commit, count in counts.items()] if len(counts) > 1 else []


def _machine(run: Run) -> tuple[Any, ...] | None:
    """What is known of the kind of machine that a run was on."""
    known = tuple(run.environment.get(key) for key in ("processor", "platform"))
    return known if any(known) else None


def _names(runs: list[Run]) -> str | None:
    """The names of the runs: a name that all share with its value, any other with the number of its values."""
    keys = dict.fromkeys(key for run in runs for key in run.names)
    shown = []
    for key in keys:
        values = {str(run.names.get(key)) for run in runs}
        shown.append(f"{key} {values.pop()}" if len(values) == 1 else f"{len(values)} x {key}")
    return ", ".join(shown) or None


def _settings(step: str, runs: list[Run], full: bool) -> Iterator[str]:
    """The settings and runtime of a step, a line for each of their sections; values that differ are shown together."""
    longest = None if full else LONGEST
    sections: dict[str, dict[str, dict[str, None]]] = {}
    for run in runs:
        told = (run.settings or {}) | ({"runtime": run.runtime} if run.runtime else {})
        for key, value in told.items():
            section, below = (key, value) if isinstance(value, dict) else ("", {key: value})
            for name, text in _flat(below):
                sections.setdefault(section, {}).setdefault(name, {})[text] = None
    peaks = [run.peak_memory_bytes for run in runs if run.peak_memory_bytes]
    if peaks:
        sections.setdefault("runtime", {})["peak memory / MiB"] = {str(round(max(peaks) / MIB)): None}
    yield from [step] if sections else []
    for section, values in sections.items():
        shown = "; ".join(f"{name} {_cut(' | '.join(texts), longest)}" for name, texts in values.items())
        yield f"  {section}: {shown}" if section else f"  {shown}"


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None else shortened(text, longest)


def _first(lines: list[str], full: bool) -> list[str]:
    """The first lines, and how many others there are; all of them if `full`."""
    others = len(lines) - LISTED
    return lines if full or others < 2 else [*lines[:LISTED], f"and {others} others: --full lists them"]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _flat(below, f"{name}.{key}" if name else key)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _packages(runs: Iterable[Run]) -> list[str]:
    packages = [run.environment["packages"] for run in runs if run.environment.get("packages")]
    names = dict.fromkeys(name for found in packages for name in found)
    versions = {name: dict.fromkeys(str(found.get(name)) for found in packages) for name in names}
    return [", ".join(f"{name} {' | '.join(found)}" for name, found in versions.items())] if versions else []


def _data(readings: Iterable[Reading]) -> list[str]:
    """The data that the study was given: images, splits, documents, and whatever no step made."""
    digests: dict[str, dict[str, int]] = {}
    for read in readings:
        if read.file.path.partition("/")[0] in DATA or read.maker is None:
            counts = digests.setdefault(read.file.path, {})
            counts[str(read.file.sha256)[:DIGITS]] = counts.get(str(read.file.sha256)[:DIGITS], 0) + 1
    given_first = sorted(digests, key=lambda path: path.partition("/")[0] not in DATA)
    return [
        f"{path}: sha256 {', '.join(f'{digest} (read by {count})' for digest, count in digests[path].items())}"
        for path in given_first[:LISTED]
    ]


def _inputs(readings: Iterable[Reading], full: bool) -> list[str]:
    """The number of inputs that are still what was read, how many are not, by what read them, and which those are."""
    readings = list(readings)
    files = {read.file.path for read in readings}
    broken: dict[tuple[str, str], list[Reading]] = {}
    for read in readings:
        if not read.holds:
            broken.setdefault((read.file.path, _trouble(read)), []).append(read)
    same = {read.file.path for read in readings if read.state == "same"} - {path for path, _ in broken}
    lines = [f"{len(same)} of {len(files)} are at hand as they were read"]
    counts = Counter((_state(reads[0]), reads[0].reader.step) for reads in broken.values())
    if len(broken) > LISTED:
        lines += [f"{count} {state}, read by {step}" for (state, step), count in counts.items()]
    listed = []
    for (path, trouble), reads in broken.items():
        others = f" and {len(reads) - 1} other runs" if len(reads) > 1 else ""
        listed.append(f"{path}: {trouble}, by {reads[0].reader.label}{others}")
    return lines + _first(listed, full) if files else []


def _state(read: Reading) -> str:
    return {"absent": "ABSENT now", "changed": "CHANGED"}.get(read.state, "MADE AGAIN")


def _trouble(read: Reading) -> str:
    then, now = str(read.file.sha256)[:DIGITS], str(read.found)[:DIGITS]
    if read.state == "absent":
        return f"ABSENT now ({then} was read)"
    if read.state == "changed":
        again = ": it was made again" if read.made_again else ""
        return f"CHANGED since it was read{again} ({then} was read, {now} is there)"
    return f"MADE AGAIN by a run that wrote something else than {then}, which was read"


def _wrapped(line: str) -> str:
    indent = "  " + line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(), WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False
    )
