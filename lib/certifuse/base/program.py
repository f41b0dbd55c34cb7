"""The beginning of a step's command: environment, interpreter, script."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from certifuse.base.digests import digest_bytes


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


@dataclass(frozen=True)
class WorkflowFile:
    """A file of the workflow that a command names and no job makes.

    Like `Program` it is no text, so that a moved checkout is no reason to run a job again; what it holds is one where
    the job has its digest as a parameter too.
    """

    path: Path

    def __str__(self) -> str:
        return quote(str(self.path))


def directory_of_package(package: Path, links: Path = Path(".snakemake", "certifuse")) -> Path:
    """The directory for `PYTHONPATH`, so that an interpreter finds this package.

    That of a checkout holds nothing else. An installed package has neighbours, which another environment must not take
    for its own: it gets a link in a directory below `links`.
    """
    if {file.name.partition(".")[0] for file in package.parent.iterdir()} <= {package.name}:
        return package.parent
    directory = links.absolute() / digest_bytes(str(package).encode())[:8]
    directory.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        (directory / package.name).symlink_to(package)
    return directory
