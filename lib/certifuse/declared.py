"""What the rules of training and scoring declare: outputs and working directories, with the wildcards left open."""

from collections.abc import Sequence

from certifuse import layout
from certifuse.bounds.certificate import BITSTREAM_FILE, CERTIFICATE_FILE


def member_files(results: str) -> dict[str, str]:
    """Outputs of the training of one expert, or of the single model."""
    templates = {"component": layout.MEMBER, "manifest": layout.MEMBER_MANIFEST, "csv": layout.MEMBER_LOG}
    return {name: f"{results}/{template}" for name, template in templates.items()}


def finetuned_files(results: str, experts: int) -> dict[str, str | list[str]]:
    """Outputs of the fine-tuning of `experts` experts without fusion."""
    directory = f"{results}/{layout.FINETUNED_DIR}"
    return {
        "experts": [f"{directory}/{layout.finetuned_expert(index)}" for index in range(experts)],
        "complete": f"{directory}/{layout.COMPLETE_FILE}",
        "manifest": f"{results}/{layout.FINETUNED_MANIFEST}",
        "csv": f"{results}/{layout.FINETUNED_LOG}",
    }


def cell_files(results: str, experts: int) -> dict[str, str | list[str]]:
    """Outputs of the joint training of one cell with `experts` experts."""
    directory = f"{results}/{layout.CELL_DIR}"
    return {
        "experts": [f"{directory}/{layout.cell_expert(index)}" for index in range(experts)],
        "fusion": f"{directory}/{layout.FUSION_FILE}",
        "head": f"{directory}/{layout.HEAD_FILE}",
        "complete": f"{directory}/{layout.COMPLETE_FILE}",
        "manifest": f"{directory}/{layout.MANIFEST_FILE}",
        "csv": f"{results}/{layout.CELL_LOG}",
    }


def score_files(directory: str) -> dict[str, str]:
    """Outputs of the scoring of one cell, or of the baselines of one (architecture, seed), in their `directory`."""
    names = ("metrics.csv", "per_class.csv", "calibration.csv", layout.PREDICTIONS_FILE, "manifest.json")
    return {name.partition(".")[0]: f"{directory}/{name}" for name in names}


def gathered_tables(results: str) -> dict[str, str]:
    """The gathered tables beside the summary."""
    tables = {
        "logs": layout.LOGS,
        "calibration": layout.CALIBRATION,
        "per_class": layout.PER_CLASS,
        "missing": layout.MISSING,
        "costs": layout.COSTS,
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
    directory, logs = f"{results}/{layout.SUBSPACE_DIR}", f"{results}/{layout.SUBSPACE_LOG_DIR}"
    names = [layout.LEVELS_DIR.format(levels=number) for number in levels]
    certificates = [certificate_files(f"{directory}/{name}") for name in names]
    return {
        "manifest": f"{directory}/{layout.MANIFEST_FILE}",
        "certificates": [files["certificate"] for files in certificates],
        "bitstreams": [files["bitstream"] for files in certificates],
        "csv": f"{logs}/full_precision.csv",
        "quantised_csv": [f"{logs}/{name}.csv" for name in names],
    }


def corpus_files(results: str) -> dict[str, str | list[str]]:
    """The files of the prepared corpus; the manifest holds the digests of the others."""
    directory = f"{results}/{layout.CORPUS_DIR}"
    parts = [f"{directory}/{part}{kind}.bin" for part in ("train", "validation") for kind in ("", "_offsets")]
    return {"manifest": f"{directory}/{layout.MANIFEST_FILE}", "parts": parts}


def sublora_files(results: str, levels: Sequence[int]) -> dict[str, str | list[str]]:
    """Outputs of the training of one language model: w at full precision and for each number of levels, and logs."""
    directory, logs = f"{results}/{layout.SUBLORA_DIR}", f"{results}/{layout.SUBLORA_LOG_DIR}"
    quantised = [layout.SUBLORA_LEVELS_WEIGHTS.replace("{levels}", str(number)) for number in levels]
    return {
        "manifest": f"{directory}/{layout.MANIFEST_FILE}",
        "weights": f"{directory}/{layout.SUBLORA_WEIGHTS}",
        "quantised": [f"{directory}/{name}" for name in quantised],
        "csv": f"{logs}/full_precision.csv",
        "quantised_csv": [f"{logs}/{layout.LEVELS_DIR.format(levels=number)}.csv" for number in levels],
    }


def language_certificate_files(directory: str) -> dict[str, str]:
    """The files of the certificate of a language model in its `directory`."""
    others = {"metrics": layout.SUBLORA_METRICS_FILE, "manifest": layout.MANIFEST_FILE}
    return certificate_files(directory) | {name: f"{directory}/{file}" for name, file in others.items()}


def sublora_tables(results: str) -> dict[str, str]:
    """The gathered tables of the language models."""
    tables = {
        "metrics": layout.SUBLORA_METRICS,
        "terms": layout.SUBLORA_TERMS,
        "top_k": layout.SUBLORA_TOP_K,
        "ledgers": layout.SUBLORA_LEDGERS,
        "logs": layout.SUBLORA_LOGS,
        "missing": layout.MISSING_SUBLORA,
    }
    return {name: f"{results}/{table}" for name, table in tables.items()}


def gate_tables(results: str) -> dict[str, str]:
    """The gathered splits of mode `learned`."""
    return {"gates": f"{results}/{layout.SUBLORA_GATES}", "missing": f"{results}/{layout.MISSING_GATES}"}


def working_directories(results: str, job: str) -> dict[str, str]:
    """Where a training writes beside its outputs: telemetry of all, resume state of this `job` (rule and wildcards)."""
    return {"telemetry": f"{results}/telemetry", "resume": f"{results}/{layout.RESUME_DIR}/{job}"}
