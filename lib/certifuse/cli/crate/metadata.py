"""The crate of a study: the workflow and its steps, every run, what it read and what it wrote.

RO-Crate 1.1 with the profiles Workflow RO-Crate 1.0 and Provenance Run Crate 0.5, which contains Workflow Run Crate and
Process Run Crate (Leo et al. 2024, "Recording provenance of workflow runs with RO-Crate", PLOS ONE 19(9)).
"""

from collections.abc import Mapping, Sequence
from datetime import date

import yaml  # type: ignore[import-untyped]
from rocrate.model.entity import Entity

from certifuse import __version__
from certifuse.cli.crate.actions import COMPLETED, describe_run
from certifuse.cli.crate.contents import Contents
from certifuse.cli.crate.study_crate import StudyCrate, local

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
SNAKEMAKE = "https://snakemake.github.io"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
WORKFLOW_TYPES = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
PRODUCTS = ("figures", "tables", "metrics", "certificates")
SNAKEFILE, README = "Snakefile", "README.md"
DIRECTORIES = {
    "certificates": "Certificates and their bitstreams.",
    "csv_logs": "One row for each epoch of every training.",
    "figures": "Every figure as PNG and PDF.",
    "fusion_checkpoints": "Components of the fused networks, and the manifests of their training.",
    "lib": "The library that the scripts call.",
    "metrics": "Scores of every cell, and the gathered tables.",
    "rules": "The rules of the workflow.",
    "tables": "Every table as CSV and LaTeX.",
    "workflow": "The scripts of the steps, and the captions of the report.",
}


def crate_of(contents: Contents, published: date) -> StudyCrate:
    """The crate of a study, not yet written; `published` is the day on which it is made."""
    crate, name = StudyCrate(contents), contents.study.name
    citation = yaml.safe_load(contents.files["CITATION.cff"].read_text(encoding="utf-8"))
    root = crate.root_dataset
    root["author"] = [_author(crate, record) for record in citation["authors"]]
    root["license"] = crate.describe(
        f"https://spdx.org/licenses/{citation['license']}",
        "CreativeWork",
        name=citation["license"],
        identifier=citation["license"],
    )
    crate.name = f"Certifuse study {name}"
    crate.description = (
        f"{citation['title']}: sources, configuration and results of the study {name}, "
        f"with the provenance of {len(contents.runs)} runs."
    )
    crate.datePublished = published
    profiles = ((url, *about) for url, about in PROFILES.items())
    root["conformsTo"] = [crate.describe(url, "CreativeWork", name=of, version=one) for url, of, one in profiles]
    if README in contents.files:
        crate.file(README)["about"] = root
    workflow = _workflow(crate)
    _execution(crate, workflow, [describe_run(crate, workflow, run) for run in contents.runs])
    _directories(crate)
    return crate


def _author(crate: StudyCrate, record: Mapping[str, str]) -> Entity:
    """An author of CITATION.cff: an entity where it has a `name`, otherwise a person."""
    name = record.get("name") or " ".join(record[key] for key in ("given-names", "family-names") if key in record)
    identifier = record.get("orcid") or record.get("website") or local("author", name)
    return crate.describe(identifier, "Organization" if "name" in record else "Person", name=name)


def _workflow(crate: StudyCrate) -> Entity:
    """The Snakefile, which the runs give steps, scripts and packages."""
    root, path = crate.root_dataset, crate.contents.files[SNAKEFILE]
    about = crate.properties_of(SNAKEFILE) | {"@type": WORKFLOW_TYPES, "name": "Certifuse", "version": __version__}
    workflow = crate.add_workflow(path, SNAKEFILE, main=True, lang="snakemake", properties=about)
    workflow["author"], workflow["license"] = root["author"], root["license"]
    workflow["conformsTo"] = crate.describe(
        BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow", version="1.0"
    )
    return workflow


def _execution(crate: StudyCrate, workflow: Entity, controls: Sequence[Entity]) -> None:
    """Add the run of the workflow as a whole, and Snakemake, which ran it."""
    contents, runs = crate.contents, crate.contents.runs
    places = tuple(f"{contents.results}/{name}/" for name in PRODUCTS)
    times = {
        "startTime": min((run.started for run in runs if run.started), default=None),
        "endTime": max((run.finished for run in runs if run.finished), default=None),
    }
    action = crate.add_action(
        workflow,
        "#execution",
        object=[crate.file(contents.config)],
        result=[crate.file(name) for name in contents.files if name.startswith(places)],
        properties={
            "name": f"The study {contents.study.name}",
            "description": "The runs whose files this crate contains; they may have been started by several commands.",
            "actionStatus": COMPLETED,
            **{key: time for key, time in times.items() if time},
        },
    )
    versions = {run.packages["snakemake"] for run in runs if "snakemake" in run.packages}
    version = ", ".join(sorted(versions)) or "unknown"
    snakemake = crate.describe("#snakemake", "SoftwareApplication", name="Snakemake", softwareVersion=version)
    snakemake["url"] = {"@id": SNAKEMAKE}
    crate.add_action(
        snakemake,
        "#organisation",
        object=list(controls),
        result=[action],
        properties={"@type": "OrganizeAction", "name": "Snakemake runs the workflow"},
    )


def _directories(crate: StudyCrate) -> None:
    """Describe the larger directories."""
    results = crate.contents.results
    for name in crate.contents.files:
        first, *below = name.removeprefix(f"{results}/").split("/")
        if below and first in DIRECTORIES:
            path = f"{results}/{first}" if name.startswith(f"{results}/") else first
            about = {"name": path, "description": DIRECTORIES[first]}
            directory = crate.get(f"{path}/") or crate.add_dataset(dest_path=path, properties=about)
            directory.append_to("hasPart", crate.file(name))
