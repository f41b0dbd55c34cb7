"""Gather the certificates of all language models into tidy tables, and list those that are missing.

Reads certificates, metrics, manifests and logs below the results directory; writes `metrics/sublora*.csv` and a
manifest. Seconds.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from certifuse.base.files import read_json
from certifuse.base.manifest import SHARED_NAME, StepRecord, check_as_written, check_written_by, read_manifest
from certifuse.base.rows import read_rows, write_rows
from certifuse.certificates.language.certificate import LanguageCertificate, read_language_certificate
from certifuse.certificates.language.claims import as_best_of, best_rows
from certifuse.study import paths
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.steps.gathering import GatheringFiles, GatherSublora

CELL = ("d", "mode", "seed")
IDENTITY = ("model", *CELL, "levels")
OTHER_BOUNDS = ("published", "hoeffding", "kl", "bernstein", "betting")
"""Inequalities with a column of their own; that of the claim is `bound_best_bpd`. `published` is for comparison: where
documents were drawn it does not hold at its best smoothing, and `hoeffding` is the same with that choice paid for."""
COLUMNS = {
    paths.SUBLORA_METRICS: (
        *("model", "d", "mode", "ratio", "seed", "levels", "vector_size", "weights", "effective_directions"),
        *("documents", "subsample", "vocabulary", "delta", "alphas", "alpha", "validation_bpd_unquantised"),
        *("validation_bpd", "risk_bpd", "deviation_bpd", "code_bits", "kl_nats"),
        *(f"bound_{name}_bpd" for name in OTHER_BOUNDS),
        *("bound_best_bpd", "candidates", "bound_best_of_bpd", "inequality", "vacuous_bpd", "top1_risk", "top1_bound"),
        *("token_risk_bpd", "token_bound_bpd", "parameters", "training_wall_s", "tokens_per_s", "scoring_wall_s"),
    ),
    paths.SUBLORA_TERMS: (
        *(*CELL, "levels", "inequality", "alpha", "risk_bpd", "subsampling_bpd", "complexity_bpd", "bound_bpd"),
    ),
    paths.SUBLORA_TOP_K: (*CELL, "levels", "k", "risk", "bound"),
    paths.SUBLORA_LEDGERS: (*IDENTITY, "charge", "bits"),
    paths.SUBLORA_LOGS: (*CELL, "stage", "step", "train_loss_bpd", "validation_bpd", "tau", "tokens_per_s"),
    paths.MISSING_SUBLORA: (*IDENTITY, "reason"),
}


def expected_directories(step: GatherSublora) -> dict[str, dict[str, Any]]:
    """The directory of each expected certificate, with its names."""
    found = {}
    for cell in step.cells:
        for levels in step.levels:
            names = {**cell.names(), "levels": levels}
            found[paths.SUBLORA_CERTIFICATE_DIR.format(**names)] = {"model": "sublora", **names}
    for name in step.ngrams:
        found[paths.NGRAM_DIR.format(ngram=name)] = {"model": "ngram", "mode": name}
    return found


def gather_sublora(step: GatherSublora, files: GatheringFiles) -> None:
    """Write the gathered tables below the results directory."""
    results, directories = files.results_dir, expected_directories(step)
    finished = [results / directory for directory in directories if (results / directory / CERTIFICATE_FILE).is_file()]
    cells = [cell.names() for cell in step.cells]
    record = StepRecord(step, files.source, _sources(results, finished, cells))
    certificates = {directory: read_language_certificate(directory) for directory in finished}
    networks = [certificate for certificate in certificates.values() if certificate.kind == "sublora"]
    tables: dict[str, Iterable[dict[str, Any]]] = {
        paths.SUBLORA_METRICS: (
            _metrics_row(results, directory, own, len(directories)) for directory, own in certificates.items()
        ),
        paths.SUBLORA_TERMS: (row for own in networks for row in _terms(own)),
        paths.SUBLORA_TOP_K: ({**_cell(own), **row.plain()} for own in networks for row in own.top_k),
        paths.SUBLORA_LEDGERS: (
            {**own.identity, "charge": charge, "bits": bits}
            for own in certificates.values()
            for charge, bits in own.ledger.items()
        ),
        paths.SUBLORA_LOGS: (row for cell in cells for row in _logs(results, cell)),
        paths.MISSING_SUBLORA: (
            {**names, "reason": "no certificate was written"}
            for directory, names in directories.items()
            if results / directory not in certificates
        ),
    }
    for table, rows in tables.items():
        write_rows(results / table, list(rows), COLUMNS[table])
    manifest = (results / paths.SUBLORA_METRICS).with_name(SHARED_NAME.format(job=step.rule))
    record.write(manifest, [results / table for table in tables])


def _sources(results: Path, finished: Iterable[Path], cells: Iterable[dict[str, Any]]) -> list[Path]:
    """Every file that is gathered: those that there are."""
    files = [directory / name for directory in finished for name in (CERTIFICATE_FILE, paths.SUBLORA_METRICS_FILE)]
    files += [path for cell in cells for path in [_manifest(results, cell), *_log_files(results, cell)]]
    return [file for file in files if file.is_file()]


def _metrics_row(results: Path, directory: Path, certificate: LanguageCertificate, candidates: int) -> dict[str, Any]:
    """One certificate; `candidates` are all that the study asks for, to be quoted as the best of."""
    sizes, terms, claim = certificate.sizes, certificate.terms, certificate.claim
    best = best_rows(certificate.bounds)
    top_1 = next((row for row in certificate.top_k if row.k == 1), None)
    return {
        **certificate.identity,
        "documents": sizes.documents,
        "subsample": None if terms.subsample == "all" else terms.subsample,
        "vocabulary": sizes.vocabulary,
        "delta": terms.delta,
        "alphas": len(terms.alphas),
        "alpha": claim.alpha,
        "validation_bpd": certificate.description.validation_bpd,
        "risk_bpd": claim.risk_bpd,
        "deviation_bpd": certificate.description.deviation_bpd,
        "code_bits": certificate.code_bits,
        "kl_nats": certificate.code_bits * math.log(2.0),
        **{f"bound_{name}_bpd": best[name].bound_bpd for name in OTHER_BOUNDS if name in best},
        "bound_best_bpd": claim.bound_bpd,
        "candidates": candidates,
        "bound_best_of_bpd": as_best_of(certificate, candidates),
        "inequality": claim.inequality,
        "vacuous_bpd": math.log2(sizes.vocabulary),
        "top1_risk": top_1 and top_1.risk,
        "top1_bound": top_1 and top_1.bound,
        "token_risk_bpd": certificate.token_claim.risk_bpd,
        "token_bound_bpd": certificate.token_claim.bound_bpd,
        "scoring_wall_s": _scoring_wall_s(directory / paths.SUBLORA_METRICS_FILE),
        **(_training(results, certificate) if certificate.kind == "sublora" else {}),
    }


def _scoring_wall_s(path: Path) -> float | None:
    if not path.is_file():
        return None
    check_as_written(path)
    seconds: float = read_json(path)["scoring_wall_s"]
    return seconds


def _training(results: Path, certificate: LanguageCertificate) -> dict[str, Any]:
    """Facts of a training from its manifest; empty fields where there is none."""
    manifest = _manifest_of(_manifest(results, certificate.identity))
    mode, directions = str(certificate.identity["mode"]), manifest.get("effective_directions", {})
    best = manifest.get("best_rows", {}).get("full_precision", {})
    return {
        "ratio": _ratio(mode, directions),
        "vector_size": certificate.identity["d"],
        "weights": manifest.get("weights"),
        "effective_directions": sum(directions.values()) or None,
        "validation_bpd_unquantised": best.get("validation_bpd"),
        "parameters": manifest.get("parameters"),
        "training_wall_s": manifest.get("training_wall_s"),
        "tokens_per_s": best.get("tokens_per_s"),
    }


def _ratio(mode: str, directions: dict[str, int]) -> float | None:
    """The share of the budget for B where it is set: by the name of the mode, or by the numbers of weights."""
    if mode.startswith("fixed_"):
        return float(mode.removeprefix("fixed_"))
    return directions["B"] / sum(directions.values()) if mode == "proportional" and "B" in directions else None


def _terms(certificate: LanguageCertificate) -> Iterator[dict[str, Any]]:
    for row in best_rows(certificate.bounds).values():
        yield {**_cell(certificate), **row.plain(), "complexity_bpd": row.complexity_bpd}


def _logs(results: Path, cell: dict[str, Any]) -> Iterator[dict[str, Any]]:
    columns = COLUMNS[paths.SUBLORA_LOGS][len(CELL) + 1 :]
    for path in _log_files(results, cell):
        if _manifest(results, cell).is_file():
            check_written_by(path, _manifest(results, cell))
        for row in read_rows(path):
            yield {**cell, "stage": path.stem, **{column: row[column] for column in columns}}


def _cell(certificate: LanguageCertificate) -> dict[str, Any]:
    return {name: certificate.identity[name] for name in (*CELL, "levels")}


def _manifest(results: Path, cell: dict[str, Any]) -> Path:
    return results / paths.SUBLORA_DIR.format(**cell) / paths.MANIFEST_FILE


def _log_files(results: Path, cell: dict[str, Any]) -> list[Path]:
    return sorted((results / paths.SUBLORA_LOG_DIR.format(**cell)).glob("*.csv"))


def _manifest_of(path: Path) -> dict[str, Any]:
    """The content of a manifest; nothing where it is absent."""
    return read_manifest(path) if path.is_file() else {}
