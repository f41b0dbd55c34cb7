"""Gaps of a lineage: what no record tells, and what two records tell differently."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from certifuse.cli.provenance.lineage import Lineage
from certifuse.cli.provenance.runs import Run

LISTED = 10
FACTS: dict[str, Callable[[Run], Any]] = {
    "settings": lambda run: run.settings,
    "source fingerprint": lambda run: run.source,
    "git commit": lambda run: run.git.get("commit"),
    "package versions": lambda run: run.environment.get("packages"),
}


def gaps(lineage: Lineage) -> list[str]:
    """List them, one line each."""
    runs, found = lineage.runs, []
    if lineage.state == "not recorded":
        found.append(f"the digest of {lineage.file} when it was written")
    for fact, of in FACTS.items():
        lacking = Counter(run.step for run in runs if of(run) is None)
        found += [f"{fact}: {_counted(lacking)}"] if lacking else []
    silent = Counter(run.git["problem"] for run in runs if run.git.get("problem"))
    found += [f"why: {problem} ({count} runs)" for problem, count in silent.items()]
    unread = Counter(read.reader.step for read in lineage.readings if read.state == "not recorded")
    found += [f"digests of what was read: {_counted(unread, 'files')}"] if unread else []
    lost = (read for read in lineage.readings if read.maker is None and not _is_given(read.file.path))
    strays = {read.file.path: read.reader.step for read in lost}
    found += [f"what made {path}, which {step} read" for path, step in list(strays.items())[:LISTED]]
    found += [f"what made {len(strays) - LISTED} other files"] * (len(strays) > LISTED)
    found += [lineage.outdated] if strays and lineage.outdated else []
    for run in runs:
        told = run.snakemake.get("source")
        if None not in (told, run.source) and told != run.source:
            found.append(f"which source ran in {run.label}: its manifest says {run.source}, Snakemake {told}")
    return found


def _is_given(path: str) -> bool:
    """True for a file outside the results: the user's own, which no step made."""
    return path.startswith(("../", "/"))


def _counted(counts: Mapping[str, int], of: str = "runs") -> str:
    return ", ".join(step if count == 1 else f"{step} ({count} {of})" for step, count in counts.items())
