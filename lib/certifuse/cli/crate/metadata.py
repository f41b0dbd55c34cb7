"""The metadata of a crate: the study, the workflow and its steps, every run, what it read and what it wrote.

RO-Crate 1.1 with the profiles Workflow RO-Crate 1.0 and Provenance Run Crate 0.5, which contains Workflow Run Crate and
Process Run Crate (Leo et al. 2024, "Recording provenance of workflow runs with RO-Crate", PLOS ONE 19(9)).
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from certifuse import __version__
from certifuse.cli.crate import entities
from certifuse.cli.crate.contents import Contents
from certifuse.cli.crate.entities import Entity, reference, references
from certifuse.cli.crate.graph import COMPLETED, Graph, Recorded

SNAKEMAKE = {
    "@id": "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
    "@type": "ComputerLanguage",
    "name": "Snakemake",
    "identifier": {"@id": "https://doi.org/10.12688/f1000research.29032.2"},
    "url": {"@id": "https://snakemake.github.io"},
}
BIOSCHEMAS = {
    "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
    "@type": "CreativeWork",
    "name": "Bioschemas ComputationalWorkflow",
    "version": "1.0",
}
SNAKEFILE, README = "Snakefile", "README.md"
PRODUCTS = ("figures", "tables", "metrics", "certificates")


def metadata(contents: Contents, citation: Mapping[str, Any], published: date) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json`.

    Args:
        contents: the files and runs.
        citation: the content of CITATION.cff.
        published: the day on which the crate is made.
    """
    graph = Graph(contents)
    authors = [graph.add(entities.author(record)) for record in citation["authors"]]
    licence = graph.add(entities.licence(citation["license"]))
    recorded = [graph.run(run) for run in contents.runs]
    workflow = _workflow(graph, recorded, authors, licence)
    actions = _execution(graph, workflow, recorded)
    if README in contents.files:
        graph.file(README, about={"@id": "./"})
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Certifuse study {contents.study.name}",
        "description": f"{citation['title']}: sources, configuration and results of the study {contents.study.name}, "
        f"with the provenance of {len(recorded)} runs.",
        "datePublished": published.isoformat(),
        "license": reference(licence),
        "author": references(authors),
        "conformsTo": references(graph.add(entities.profile(url)) for url in entities.PROFILES),
        "mainEntity": reference(workflow),
        "mentions": references([*actions, *(one.action for one in recorded)]),
        "hasPart": references(graph.parts()),
    }
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": entities.SPECIFICATION}, {"@id": entities.WORKFLOW_CRATE}],
    }
    return {
        "@context": entities.CONTEXT,
        "@graph": [_compact(one) for one in (descriptor, root, *graph.entities.values())],
    }


def _compact(entity: Entity) -> Entity:
    """A list of one is written as that one, and an empty one not at all."""
    kept = {key: value for key, value in entity.items() if value != []}
    return {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in kept.items()}


def _workflow(graph: Graph, recorded: Sequence[Recorded], authors: Sequence[Entity], licence: Entity) -> Entity:
    """The Snakefile, with its steps, scripts and packages."""
    steps = {one.run.step: graph.step(one.run) for one in recorded}
    return graph.file(
        SNAKEFILE,
        **{"@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]},
        name="Certifuse",
        version=__version__,
        author=references(authors),
        license=reference(licence),
        programmingLanguage=reference(graph.add(SNAKEMAKE)),
        conformsTo=reference(graph.add(BIOSCHEMAS)),
        hasPart=references(one.script for one in recorded),
        step=references(steps.values()),
        softwareRequirements=references(graph.packages(one.run for one in recorded)),
    )


def _execution(graph: Graph, workflow: Entity, recorded: Sequence[Recorded]) -> tuple[Entity, Entity]:
    """That the workflow ran, and that Snakemake ran it."""
    contents = graph.contents
    places = tuple(f"{contents.results}/{name}/" for name in PRODUCTS)
    products = [graph.file(name) for name in contents.files if name.startswith(places)]
    started = [one.run.started for one in recorded if one.run.started]
    finished = [one.run.finished for one in recorded if one.run.finished]
    times = ({"startTime": min(started)} if started else {}) | ({"endTime": max(finished)} if finished else {})
    action = {
        "@id": "#execution",
        "@type": "CreateAction",
        "name": f"The study {contents.study.name}",
        "description": "The runs whose files this crate contains; they may have been started by several commands.",
        "instrument": reference(workflow),
        "object": [reference(graph.file(contents.config))],
        "result": references(products),
        "actionStatus": COMPLETED,
        **times,
    }
    snakemake: Entity = {"@id": "#snakemake", "@type": "SoftwareApplication", "name": "Snakemake"}
    snakemake |= {"url": SNAKEMAKE["url"], "softwareVersion": _versions(recorded, "snakemake")}
    organised = {
        "@id": "#organisation",
        "@type": "OrganizeAction",
        "name": "Snakemake runs the workflow",
        "instrument": reference(graph.add(snakemake)),
        "object": references(one.control for one in recorded),
        "result": reference(action),
    }
    return graph.add(action), graph.add(organised)


def _versions(recorded: Sequence[Recorded], package: str) -> str:
    found = {(one.run.environment.get("packages") or {}).get(package) for one in recorded}
    return ", ".join(sorted(version for version in found if version)) or "unknown"
