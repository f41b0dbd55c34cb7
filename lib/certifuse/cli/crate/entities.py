"""The entities of an RO-Crate: plain JSON-LD objects, each with its identifier."""

import mimetypes
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

Entity = dict[str, Any]

TERMS = "https://w3id.org/ro/terms/workflow-run#"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {term: TERMS + term for term in ("resourceUsage", "sha256")}]
"""The terms of the profiles are spelled out, so that no second context has to be fetched."""
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
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


def identifier(path: str) -> str:
    """The identifier of a file or directory of the crate."""
    return quote(path, safe="/")


def local(kind: str, name: str) -> str:
    """The identifier of something that is described and not contained."""
    return f"#{kind}/{quote(name, safe='/=')}"


def reference(entity: Entity) -> Entity:
    """A link to an entity."""
    return {"@id": entity["@id"]}


def references(entities: Iterable[Entity]) -> list[Entity]:
    """Links to entities, each once."""
    return [{"@id": name} for name in dict.fromkeys(entity["@id"] for entity in entities)]


def file(path: str, size_bytes: int, digest: str) -> Entity:
    """A file of the crate."""
    suffix = posixpath.splitext(path)[1]
    return {
        "@id": identifier(path),
        "@type": "File",
        "name": path,
        "contentSize": str(size_bytes),
        "encodingFormat": FORMATS.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain",
        "sha256": digest,
    }


def absent_file(path: str, digest: str | None) -> Entity:
    """A file that a run read or wrote and that is left out."""
    known = {"sha256": digest} if digest else {}
    return {
        "@id": local("absent", f"{path}/{digest}" if digest else path),
        "@type": "CreativeWork",
        "name": path,
        "description": "Not contained in this crate.",
        **known,
    }


def property_value(kind: str, name: str, key: str, value: str) -> Entity:
    """A named value; `key` tells it from others of its kind."""
    return {"@id": local(kind, key), "@type": "PropertyValue", "name": name, "value": value}


def profile(url: str) -> Entity:
    """A profile that the crate follows."""
    name, version = PROFILES[url]
    return {"@id": url, "@type": "CreativeWork", "name": name, "version": version}


def package(name: str, version: str) -> Entity:
    """An installed package."""
    key = local("package", f"{name}-{version}")
    return {"@id": key, "@type": "SoftwareApplication", "name": name, "softwareVersion": version}


def author(record: Mapping[str, str]) -> Entity:
    """An author of CITATION.cff: an entity where it has a `name`, otherwise a person."""
    kind = "Organization" if "name" in record else "Person"
    name = record.get("name") or " ".join(record[key] for key in ("given-names", "family-names") if key in record)
    key = record.get("orcid") or record.get("website") or local("author", name)
    return {"@id": key, "@type": kind, "name": name}


def licence(name: str) -> Entity:
    """A licence by its SPDX name."""
    return {"@id": f"https://spdx.org/licenses/{name}", "@type": "CreativeWork", "name": name, "identifier": name}
