"""The jobs of a dry-run with `-p`: their commands, their files, and what is downstream of them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Job(NamedTuple):
    """One job: its rule and wildcards, what the shell is given (nothing for `all`), and its files."""

    rule: str
    wildcards: dict[str, str]
    command: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    log: str
    benchmark: str
    resources: str

    @property
    def name(self) -> str:
        """Rule and wildcards, as `jobs_in` has them."""
        return f"{self.rule} {'/'.join(self.wildcards[key] for key in sorted(self.wildcards))}".strip()

    @property
    def script(self) -> str:
        """The file name of the script; none for `all`."""
        found = re.search(r" (\S+\.py) ", self.command)
        return Path(found[1]).name if found else ""


def graph_of(text: str) -> list[Job]:
    """Every job that a dry-run printed."""
    blocks = re.split(r"^(?:local)?rule (?=\w+:$)", text, flags=re.MULTILINE)[1:]
    return [_job(block) for block in blocks]


def _job(block: str) -> Job:
    def field(name: str) -> str:
        found = re.search(rf"^ *{name}: (.*)$", block, flags=re.MULTILINE)
        return found[1] if found else ""

    def fields(name: str) -> list[str]:
        return [part for part in field(name).split(", ") if part]

    return Job(
        rule=block.split(":", 1)[0],
        wildcards=dict(pair.split("=", 1) for pair in fields("wildcards")),
        command=field("Shell command"),
        inputs=frozenset(fields("input")),
        outputs=frozenset(fields("output")),
        log=field("log"),
        benchmark=field("benchmark"),
        resources=field("resources"),
    )


def with_everything_downstream(graph: list[Job], first: Iterable[str]) -> set[str]:
    """The jobs `first`, and those that need what they make, and so on."""
    found = set(first)
    while True:
        made = frozenset().union(*(job.outputs for job in graph if job.name in found))
        more = {job.name for job in graph if job.inputs & made} - found
        if not more:
            return found
        found |= more
