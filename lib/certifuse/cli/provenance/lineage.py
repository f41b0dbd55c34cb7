"""The lineage of a file: everything that it came from, each link judged by digests and not by names."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.cli.provenance.records import Records
from certifuse.cli.provenance.runs import Run, Stored

FileState = Literal["same", "changed", "absent", "not recorded", "not checked"]
"""The file at hand against the digest that was recorded when it was written, or read."""


@dataclass(frozen=True)
class Reading:
    """An input of a run. `made_again`: the run that is recorded as its maker wrote something else than was read."""

    file: Stored
    reader: Run
    maker: Run | None
    found: str | None
    state: FileState
    made_again: bool

    @property
    def holds(self) -> bool:
        """False where the file at hand cannot be what was read."""
        return self.state not in ("changed", "absent") and not self.made_again


@dataclass(frozen=True)
class Lineage:
    """The known history of a file. `runs` begins with the run that made it and goes towards the data.

    `found` and `recorded` are SHA-256; `witness` is who says that the first run made the file; `touched` is whether its
    time has changed since, which stands in where no digest was recorded; `outdated` tells of manifests that could not
    be asked.
    """

    file: str
    found: str
    recorded: str | None
    state: FileState
    witness: str
    touched: bool
    runs: tuple[Run, ...]
    readings: tuple[Reading, ...]
    outdated: str | None


def lineage_of(records: Records, path: str, *, check: bool = True) -> Lineage:
    """The lineage of the file at `path` below the results directory.

    Args:
        records: all that is recorded there.
        path: the file, which exists.
        check: digest the inputs that are at hand, to compare them with what was read; slow where they are large.

    Raises:
        UserError: nothing says what made the file.
    """
    made = records.maker(path)
    if made is None:
        absent = "" if records.snakemake.workdir else ", and there is no .snakemake above it to ask"
        outdated = f"; {records.outdated}" if records.outdated else ""
        raise UserError(f"{records.root / path}: nothing here made this file: no manifest names it{absent}{outdated}")
    run, witness = made
    found, recorded = digest_file(records.root / path), run.written(path)
    readings = _readings(records, run, check)
    return Lineage(
        file=path,
        found=found,
        recorded=recorded,
        state=_state(recorded, found),
        witness=witness,
        touched=recorded is None and records.touched(path),
        runs=tuple(_from_file_to_data(run, readings)),
        readings=tuple(readings),
        outdated=records.outdated,
    )


def _state(recorded: str | None, found: str | None) -> FileState:
    if recorded is None:
        return "not recorded"
    if found is None:
        return "absent"
    return "same" if found == recorded else "changed"


def _readings(records: Records, first: Run, check: bool) -> list[Reading]:
    """Every input of every run that the file came from."""

    @cache
    def digest(path: str) -> str | None:
        return digest_file(records.root / path) if (records.root / path).is_file() else None

    readings: list[Reading] = []
    seen, waiting = {first.record}, deque([first])
    while waiting:
        reader = waiting.popleft()
        for file in reader.inputs:
            made = records.maker(file.path)
            maker = made[0] if made and made[0].record != reader.record else None
            found = digest(file.path) if check else None
            state = _state(file.sha256, found) if check else "not checked"
            written = maker and maker.written(file.path)
            again = None not in (written, file.sha256) and written != file.sha256
            readings.append(Reading(file, reader, maker, found, state, again))
            if maker and maker.record not in seen:
                seen.add(maker.record)
                waiting.append(maker)
    return readings


def _from_file_to_data(first: Run, readings: Iterable[Reading]) -> list[Run]:
    """The runs, each after all that read its files. UserError where the records go in a circle."""
    runs, order = {first.record: first}, TopologicalSorter[str]({first.record: ()})
    for read in readings:
        if read.maker:
            runs[read.maker.record] = read.maker
            order.add(read.maker.record, read.reader.record)
    try:
        return [runs[record] for record in order.static_order()]
    except CycleError as error:
        circle = ", ".join(error.args[1])
        raise UserError(f"expected runs that read what earlier ones wrote, found a circle of {circle}") from None
