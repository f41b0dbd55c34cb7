"""Write the start page of a study: one HTML file with the answers, every figure and every table. Seconds.

Reads the gathered tables, the tables of the study, its figures and their captions.
"""

from itertools import chain
from pathlib import Path

from certifuse.base.files import write_text
from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.reporting.certificates.frames import SCHEMAS as CERTIFICATES
from certifuse.reporting.frames import read_frames
from certifuse.reporting.fusion.frames import SCHEMAS as FUSION
from certifuse.reporting.start_page.page import start_page, table_files
from certifuse.reporting.sublora.frames import SCHEMAS as LANGUAGE
from certifuse.study import paths
from certifuse.study.steps.reporting import WriteStartPage

GATHERED = {
    "fusion": {
        "summary": paths.SUMMARY,
        "missing": paths.MISSING,
        "comparison": paths.COMPARISON,
        "costs": paths.COSTS,
    },
    "certificates": {"certificates": paths.CERTIFICATES, "missing": paths.MISSING_CERTIFICATES},
    "sublora": {
        "metrics": paths.SUBLORA_METRICS,
        "missing": paths.MISSING_SUBLORA,
        "gates": paths.SUBLORA_GATES,
    },
}
"""The gathered tables of each part of a study, by the names of their schemas."""
SCHEMAS = {"fusion": FUSION, "certificates": CERTIFICATES, "sublora": LANGUAGE}


def write_start_page(step: WriteStartPage, files: WriteStartPage.Files) -> None:
    """Write the page and a manifest."""
    results = files.results_dir
    gathered = {part: {name: results / path for name, path in GATHERED[part].items()} for part in step.parts}
    record = StepRecord(step, files.source, _read(step, files, gathered))
    parts = {part: read_frames(tables, SCHEMAS[part]) for part, tables in gathered.items()}
    template = files.captions.read_text(encoding="utf-8")
    write_text(files.page, start_page(parts, step, results, template))
    record.write(files.page.with_name(SHARED_NAME.format(job=step.rule)), [files.page])


def _read(step: WriteStartPage, files: WriteStartPage.Files, gathered: dict[str, dict[str, Path]]) -> list[Path]:
    """Every file that is read."""
    tables = [files.results_dir / file for file in table_files(step).values()]
    images = [files.results_dir / "figures" / f"{place}.png" for place in step.figures]
    return [*chain(*(found.values() for found in gathered.values())), *tables, *images, files.captions]
