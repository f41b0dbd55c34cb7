"""The jobs of a dry-run with `-p`, their scripts, and what is downstream of them."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Job(NamedTuple):
    """One job: its name, the script that it calls (none for `all`), its files."""

    name: str
    script: str
    inputs: frozenset[str]
    outputs: frozenset[str]


def graph_of(text: str) -> list[Job]:
    """Every job that a dry-run printed."""
    blocks = re.split(r"^(?:local)?rule (?=\w+:$)", text, flags=re.MULTILINE)[1:]
    return [_job(block) for block in blocks]


def _job(block: str) -> Job:
    def field(name: str) -> list[str]:
        found = re.search(rf"^    {name}: (.*)$", block, flags=re.MULTILINE)
        return found[1].split(", ") if found else []

    script = re.search(r'"\$SCRIPTS/(\w+\.py)"', block)
    values = "/".join(pair.split("=", 1)[1] for pair in sorted(field("wildcards")))
    name = f"{block.split(':', 1)[0]} {values}".strip()
    return Job(name, script[1] if script else "", frozenset(field("input")), frozenset(field("output")))


def with_everything_downstream(graph: list[Job], first: Iterable[str]) -> set[str]:
    """The jobs `first`, and those that need what they make, and so on."""
    found = set(first)
    while True:
        made = frozenset().union(*(job.outputs for job in graph if job.name in found))
        more = {job.name for job in graph if job.inputs & made} - found
        if not more:
            return found
        found |= more
