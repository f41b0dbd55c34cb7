"""What the rules of training and scoring declare: outputs and working directories, with the wildcards left open."""

from collections.abc import Sequence

from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE


def member_files(results: str) -> dict[str, str]:
    """Outputs of the training of one expert, or of the single model."""
    templates = {"component": paths.MEMBER, "manifest": paths.MEMBER_MANIFEST, "csv": paths.MEMBER_LOG}
    return {name: f"{results}/{template}" for name, template in templates.items()}


def finetuned_files(results: str, experts: int) -> dict[str, str | list[str]]:
    """Outputs of the fine-tuning of `experts` experts without fusion."""
    directory = f"{results}/{paths.FINETUNED_DIR}"
    return {
        "experts": [f"{directory}/{paths.finetuned_expert(index)}" for index in range(experts)],
        "complete": f"{directory}/{paths.COMPLETE_FILE}",
        "manifest": f"{results}/{paths.FINETUNED_MANIFEST}",
        "csv": f"{results}/{paths.FINETUNED_LOG}",
    }


def cell_files(results: str, experts: int) -> dict[str, str | list[str]]:
    """Outputs of the joint training of one cell with `experts` experts."""
    directory = f"{results}/{paths.CELL_DIR}"
    return {
        "experts": [f"{directory}/{paths.cell_expert(index)}" for index in range(experts)],
        "fusion": f"{directory}/{paths.FUSION_FILE}",
        "head": f"{directory}/{paths.HEAD_FILE}",
        "complete": f"{directory}/{paths.COMPLETE_FILE}",
        "manifest": f"{directory}/{paths.MANIFEST_FILE}",
        "csv": f"{results}/{paths.CELL_LOG}",
    }


def score_files(directory: str) -> dict[str, str]:
    """Outputs of the scoring of one cell, or of the baselines of one (architecture, seed), in their `directory`."""
    names = ("metrics.csv", "per_class.csv", "calibration.csv", paths.PREDICTIONS_FILE, "manifest.json")
    return {name.partition(".")[0]: f"{directory}/{name}" for name in names}


def gathered_tables(results: str) -> dict[str, str]:
    """The gathered tables beside the summary."""
    tables = {
        "logs": paths.LOGS,
        "calibration": paths.CALIBRATION,
        "per_class": paths.PER_CLASS,
        "missing": paths.MISSING,
        "costs": paths.COSTS,
    }
    return {name: f"{results}/{table}" for name, table in tables.items()}


def table_labels(name: str) -> dict[str, str]:
    """What a table is called in the report, which shows one row for all files of equal labels."""
    return {"table": name.replace("_", " "), "format": "CSV"}


def certificate_files(directory: str) -> dict[str, str]:
    """The two files of a certificate in its `directory`."""
    return {"certificate": f"{directory}/{CERTIFICATE_FILE}", "bitstream": f"{directory}/{BITSTREAM_FILE}"}


def subspace_files(results: str, levels: Sequence[int]) -> dict[str, str | list[str]]:
    """Outputs of one training in a subspace: its manifest and logs, and a certificate for each number of levels."""
    directory, logs = f"{results}/{paths.SUBSPACE_DIR}", f"{results}/{paths.SUBSPACE_LOG_DIR}"
    names = [paths.LEVELS_DIR.format(levels=number) for number in levels]
    certificates = [certificate_files(f"{directory}/{name}") for name in names]
    return {
        "manifest": f"{directory}/{paths.MANIFEST_FILE}",
        "certificates": [files["certificate"] for files in certificates],
        "bitstreams": [files["bitstream"] for files in certificates],
        "csv": f"{logs}/full_precision.csv",
        "quantised_csv": [f"{logs}/{name}.csv" for name in names],
    }


def corpus_files(results: str) -> dict[str, str | list[str]]:
    """The files of the prepared corpus; the manifest holds the digests of the others."""
    directory = f"{results}/{paths.CORPUS_DIR}"
    parts = [f"{directory}/{part}{kind}.bin" for part in ("train", "validation") for kind in ("", "_offsets")]
    return {"manifest": f"{directory}/{paths.MANIFEST_FILE}", "parts": parts}


def sublora_files(results: str, levels: Sequence[int]) -> dict[str, str | list[str]]:
    """Outputs of the training of one language model: w at full precision and for each number of levels, and logs."""
    directory, logs = f"{results}/{paths.SUBLORA_DIR}", f"{results}/{paths.SUBLORA_LOG_DIR}"
    quantised = [paths.SUBLORA_LEVELS_WEIGHTS.replace("{levels}", str(number)) for number in levels]
    return {
        "manifest": f"{directory}/{paths.MANIFEST_FILE}",
        "weights": f"{directory}/{paths.SUBLORA_WEIGHTS}",
        "quantised": [f"{directory}/{name}" for name in quantised],
        "csv": f"{logs}/full_precision.csv",
        "quantised_csv": [f"{logs}/{paths.LEVELS_DIR.format(levels=number)}.csv" for number in levels],
    }


def language_certificate_files(directory: str) -> dict[str, str]:
    """The files of the certificate of a language model in its `directory`."""
    others = {"metrics": paths.SUBLORA_METRICS_FILE, "manifest": paths.MANIFEST_FILE}
    return certificate_files(directory) | {name: f"{directory}/{file}" for name, file in others.items()}


def sublora_tables(results: str) -> dict[str, str]:
    """The gathered tables of the language models."""
    tables = {
        "metrics": paths.SUBLORA_METRICS,
        "terms": paths.SUBLORA_TERMS,
        "top_k": paths.SUBLORA_TOP_K,
        "ledgers": paths.SUBLORA_LEDGERS,
        "logs": paths.SUBLORA_LOGS,
        "missing": paths.MISSING_SUBLORA,
    }
    return {name: f"{results}/{table}" for name, table in tables.items()}


def gate_tables(results: str) -> dict[str, str]:
    """The gathered splits of mode `learned`."""
    return {"gates": f"{results}/{paths.SUBLORA_GATES}", "missing": f"{results}/{paths.MISSING_GATES}"}


def working_directories(results: str, job: str) -> dict[str, str]:
    """Where a training writes beside its outputs: telemetry of all, resume state of this `job` (rule and wildcards)."""
    return {"telemetry": f"{results}/telemetry", "resume": f"{results}/{paths.RESUME_DIR}/{job}"}
