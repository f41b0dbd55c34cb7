"""A crate on disk: a directory or a zip file, whole or absent."""

import shutil
import tempfile
from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.base.machine import writing
from certifuse.cli.crate.study_crate import StudyCrate


def pack(output: Path, crate: StudyCrate) -> None:
    """Write a crate to `output`: a zip file if it is called so, otherwise a new directory.

    Raises:
        UserError: something is there already.
        DiskError: the disk is full, or refuses.
    """
    if output.exists():
        raise UserError(f"{output}: expected a new crate, found one of that name: remove it or choose another --output")
    size = sum(path.stat().st_size for path in crate.contents.files.values())
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        writing(output, lambda: size),
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as staged,
    ):
        whole = Path(staged) / "crate"
        crate.write(whole)
        if output.suffix == ".zip":  # `write_zip` would fill the system's temporary directory
            whole = Path(shutil.make_archive(str(whole), "zip", whole))
        whole.rename(output)
