"""The beginning of a step's command: environment, interpreter, script."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote


@dataclass(frozen=True)
class Program:
    """A script of the workflow, as a shell runs it.

    Snakemake records parameters that are text, and runs a job again where one has changed; this is an object, so that
    neither a moved checkout nor a number of processes is a reason.

    Args:
        script: the file.
        environment: variables of this command alone.
        launcher: what runs the file.
    """

    script: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    launcher: str = "python"

    def __str__(self) -> str:
        variables = "".join(f"{name}={quote(value)} " for name, value in self.environment.items())
        return f"{variables}{self.launcher} {quote(str(self.script))}"
