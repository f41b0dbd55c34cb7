"""Keep what a results page rests on: copy it out of a finished study, with one manifest of how it was made.

usage: python workflow/keep_results.py config/cifar100_small.yaml docs/results/cifar100_small

The page itself, README.md, is written by hand and left alone; `pytest tests/results_pages` then says which of its
numbers are not those of the new files.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.base.files import write_json
from certifuse.base.manifest import read_manifest
from certifuse.cli.provenance.records import Records
from certifuse.cli.status.command import study_in
from certifuse.study import paths

KEPT = {
    "figures/**/*.png": "",
    "tables/**/*.csv": "tables",
    "tables/**/*.tex": "tables",
    "tables/**/*.md": "tables",
    paths.SPLITS_SUMMARY: "",
    paths.SUMMARY: "",
    paths.LOGS: "",
    paths.COSTS: "",
    paths.COMPARISON: "",
    paths.CERTIFICATES: "",
    paths.LEDGERS: "",
    paths.SUBLORA_METRICS: "",
    paths.SUBLORA_LEDGERS: "",
    paths.SUBLORA_GATES: "",
    paths.MISSING_SUBLORA: "",
    "certificates/**/levels_*/*": "certificates",
}
"""Files of a study and the folder that they are kept in. What a study does not make is not kept."""
TRAINING = ("pretrain_expert", "finetune_experts", "train_fusion", "train_sublora")
SCORING = (
    *("evaluate_fusion", "evaluate_baselines"),
    *("certify_subspace", "certify_joint", "certify_sublora", "certify_ngram"),
)
"""The steps that a results page is about."""


def keep(config: Path, target: Path) -> list[Path]:
    """Fill `target` from the results of a study. Returns what is there that no run of this study has made.

    Raises:
        UserError: the study has no tables, or was run in part by an older version.
    """
    results = Path(study_in(config).results_dir)
    copies = {
        target / folder / below(source, pattern, results): source
        for pattern, folder in KEPT.items()
        for source in sorted(results.glob(pattern))
        if source.is_file()
    }
    if not any(kept.is_relative_to(target / "tables") for kept in copies):
        raise UserError(f"{results}/tables: expected the tables of a finished study, found none; run snakemake first")
    manifest = how_it_was_made(results) | {"study": study_in(config).name}
    for kept, source in copies.items():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, kept)
    shutil.copyfile(config, target / "config.yaml")
    write_json(target / "manifest.json", manifest)
    made = {*copies, target / "config.yaml", target / "manifest.json", target / "README.md"}
    return sorted(path for path in target.rglob("*") if path.is_file() and path not in made)


def below(source: Path, pattern: str, results: Path) -> Path:
    """The path of a kept file below its folder: without the first folder of its pattern."""
    return source.relative_to(results / Path(pattern).parts[0])


def how_it_was_made(results: Path) -> dict[str, Any]:
    """Commits, versions, devices, digests of the data, and times, out of the manifests of training and scoring."""
    records = Records(results.resolve())
    if records.outdated:
        raise UserError(f"{results}/{records.outdated}")
    manifests = [read_manifest(results / run.record) for run in records.runs]
    trained, scored = ([one for one in manifests if one["step"] in steps] for steps in (TRAINING, SCORING))
    environments = [manifest["environment"] for manifest in (*trained, *scored)]
    return {
        "training_commits": commits(trained),
        "evaluation_commits": commits(scored),
        "dirty": any(environment["git"]["dirty"] for environment in environments),
        "environments": distinct(
            {key: environment.get(key) for key in ("machine", "platform", "processor", "packages")}
            for environment in environments
        ),
        "runtimes": distinct(manifest["runtime"] for manifest in trained),
        "data_sha256": distinct(manifest["data_sha256"] for manifest in trained),
        "training_jobs": {folder.name: job_times(folder) for folder in sorted(results.glob("benchmarks/*"))},
        "workflow_elapsed": elapsed([*trained, *scored]),
    }


def commits(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """Every commit that made some of it; none outside a git checkout."""
    return sorted({manifest["environment"]["git"]["commit"] or "none" for manifest in manifests})


def distinct(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each value once."""
    return [json.loads(text) for text in sorted({canonical_json(value) for value in values})]


def job_times(folder: Path) -> dict[str, float | None]:
    """What all jobs of one rule took, after Snakemake's benchmarks.

    It samples CPU time, ever more rarely: `cpu_s` lacks the end of each job, and the shortest have none.
    """
    rows = [row for path in folder.rglob("*.tsv") for row in csv.DictReader(path.open(), delimiter="\t")]
    measured = [float(row["cpu_time"]) for row in rows if row["cpu_time"] != "NA"]
    return {
        "jobs": len(rows),
        "wall_s": round(sum(float(row["s"]) for row in rows), 1),
        "cpu_s": round(sum(measured), 1) if len(measured) == len(rows) else None,
    }


def elapsed(manifests: Sequence[dict[str, Any]]) -> str | None:
    """From the start of the first step to the end of the last, as h:mm:ss; None where there is no step."""
    if not manifests:
        return None
    first, last = min(one["started"] for one in manifests), max(one["finished"] for one in manifests)
    return str(datetime.fromisoformat(last) - datetime.fromisoformat(first))


def main(arguments: list[str]) -> None:
    """Keep what the command line names, and say what was left alone."""
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    try:
        old = keep(*map(Path, arguments))
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    for path in old:
        print(f"not of this study's results, left as it was: {path}")
    print(f"kept in {arguments[1]}; now: pytest tests/results_pages")


if __name__ == "__main__":
    main(sys.argv[1:])
