"""An RO-Crate with the files of a study, each once, whatever else its entities describe."""

import mimetypes
import posixpath
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from certifuse import __version__
from certifuse.base.errors import UserError
from certifuse.base.machine import writing
from certifuse.cli.crate.contents import SCRIPTS, Contents
from certifuse.cli.provenance.runs import Stored

TERMS = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in ("resourceUsage", "sha256")}
"""The terms of the profiles are spelled out, so that no second context has to be fetched."""
FORMATS = {
    ".cfqv": "application/octet-stream",
    ".lock": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".safetensors": "application/octet-stream",
    ".smk": "text/plain",
    ".yaml": "application/yaml",
}


class CrateFile(File):  # type: ignore[misc]
    """A file whose identifier is its path as a URI, as the specification asks; the library takes the path itself."""

    def format_id(self, identifier: str) -> str:
        """The path, with what no URI may hold replaced."""
        return quote(identifier, safe="/")

    def write(self, base_path: Path) -> None:
        """Copy the file to its path in the crate."""
        target = Path(base_path) / unquote(self.id)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.source, target)


class StudyCrate(ROCrate):  # type: ignore[misc]
    """The crate of a study: all of its files from the beginning, and everything else once it is described."""

    def __init__(self, contents: Contents) -> None:
        super().__init__()
        self.contents = contents
        self.metadata.extra_terms.update(TERMS)
        for name, path in contents.files.items():
            self.add(CrateFile(self, path, name, properties=self.properties_of(name)))

    def properties_of(self, name: str) -> dict[str, Any]:
        """The properties of a file."""
        suffix = posixpath.splitext(name)[1]
        script = {"@type": ["File", "SoftwareSourceCode"], "version": __version__}
        return {
            **(script if name.startswith(f"{SCRIPTS}/") else {}),
            "name": name,
            "contentSize": str(self.contents.files[name].stat().st_size),
            "encodingFormat": FORMATS.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain",
            "sha256": self.contents.digests[name],
        }

    def pack(self, output: Path) -> None:
        """Write it, whole or not at all, to `output`: a zip file if it is called so, otherwise a new directory.

        Raises:
            UserError: something is there already.
            DiskError: the disk is full, or refuses.
        """
        if output.exists():
            found = "found one of that name: remove it or choose another --output"
            raise UserError(f"{output}: expected a new crate, {found}")
        size = sum(path.stat().st_size for path in self.contents.files.values())
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.")
        with writing(output, lambda: size), beside as staged:
            whole = Path(staged) / "crate"
            self.write(whole)
            if output.suffix == ".zip":  # `write_zip` would fill the system's temporary directory
                whole = Path(shutil.make_archive(str(whole), "zip", whole))
            whole.rename(output)

    def write(self, base_path: Path) -> None:
        """Write all of it to a directory; a list of one is written as that one."""
        for entity in self.get_entities():
            values = entity.properties()
            values |= {key: value[0] for key, value in values.items() if isinstance(value, list) and len(value) == 1}
        super().write(base_path)

    def file(self, name: str) -> Entity:
        """A file by its name in the crate."""
        return self.get(quote(name, safe="/"))

    def describe(self, identifier: str, kind: str, /, **properties: Any) -> Entity:
        """Something that is described and not contained, which may have been described before; `kind` is its type."""
        return self.get(identifier) or self.add(ContextEntity(self, identifier, {"@type": kind, **properties}))

    def value(self, kind: str, key: str, name: str, value: str, /, **properties: Any) -> Entity:
        """A named value; `key` tells it from others of its kind."""
        return self.describe(local(kind, key), "PropertyValue", name=name, value=value, **properties)

    def link(self, entity: Entity, key: str, other: Entity) -> Entity:
        """The other entity, once it is among those that the first has under this key."""
        if other not in entity.get(key, []):
            entity.append_to(key, other)
        return other

    def stored(self, stored: Stored) -> Entity:
        """A file as a run met it: the one in the crate if it is that, otherwise a description of it."""
        name = f"{self.contents.results}/{stored.path}"
        if name in self.contents.files and stored.sha256 in (None, self.contents.digests[name]):
            return self.file(name)
        known = {"sha256": stored.sha256} if stored.sha256 else {}
        identifier = local("absent", "/".join(filter(None, (name, stored.sha256))))
        about = "Not contained in this crate."
        return self.describe(identifier, "CreativeWork", name=name, description=about, **known)


def local(kind: str, name: str) -> str:
    """The identifier of something that is described and not contained."""
    return f"#{kind}/{quote(name, safe='/=')}"
