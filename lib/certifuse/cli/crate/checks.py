"""Whether a study is what its records say, before it is packed."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.cli.provenance.runs import Run
from certifuse.study.study import Study

SUBLORA_FIGURE_RULES = (
    *("draw_sublora_figure", "draw_sublora_budget_figure", "draw_gates_figure", "draw_gates_budget_figure"),
)


def check_settings(study: Study, config: Path, runs: Iterable[Run]) -> None:
    """UserError where a run had other settings than this configuration gives it."""
    for run in runs:
        expected = _expected(study, run)
        if expected is not None and run.settings is not None and json.loads(expected) != run.settings:
            name, wanted, found = next(_differences(json.loads(expected), run.settings))
            raise UserError(
                f"{config}: expected the configuration of these results, found another: {name} is {wanted} there and "
                f"was {found} in {run.label}: give theirs with --configfile, or run what has changed"
            )


def _expected(study: Study, run: Run) -> str | None:
    """What the rules give to the step, as far as it is known here."""
    architecture, fusion = run.names.get("architecture", ""), run.names.get("fusion", "")
    figure = str(run.names.get("figure", str(run.job).rpartition("/")[2]))
    settings: dict[str, Callable[[], str]] = {
        "prepare_images": study.for_images,
        "split_images": study.for_splits,
        "pretrain_expert": lambda: study.for_pretraining(architecture, str(run.names["member"])),
        "finetune_experts": lambda: study.for_finetuning(architecture),
        "train_fusion": lambda: study.for_fusion(architecture, fusion),
        "evaluate_fusion": study.for_evaluation,
        "evaluate_baselines": study.for_evaluation,
        "gather": study.for_gathering,
        "compare_cells": study.for_comparison,
        "draw_figure": lambda: study.for_figure(figure),
        "write_tables": study.for_tables,
        "certify_subspace": lambda: study.for_subspace(fusion),
        "certify_joint": study.for_joint_certificate,
        "gather_certificates": study.for_certificate_gathering,
        "draw_certificate_figure": lambda: study.for_certificate_figure(figure),
        "write_certificate_tables": study.for_tables,
        "prepare_corpus": study.for_corpus,
        "train_sublora": lambda: study.for_sublora_training(run.names["mode"]),
        "certify_sublora": study.for_sublora_certificate,
        "certify_ngram": study.for_ngram,
        **dict.fromkeys(SUBLORA_FIGURE_RULES, lambda: study.for_sublora_figure(figure)),
        "gather_sublora": study.for_sublora_gathering,
        "gather_gates": study.for_gate_gathering,
        "write_sublora_tables": study.for_tables,
    }
    return settings[run.step]() if run.step in settings else None


def _differences(wanted: Any, found: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            below = f"{name}.{key}" if name else key
            if key in wanted and key in found:
                yield from _differences(wanted[key], found[key], below)
            else:
                told = [json.dumps(there[key]) if key in there else "absent" for there in (wanted, found)]
                yield below, told[0], told[1]
    elif wanted != found:
        yield name, json.dumps(wanted), json.dumps(found)


def check_digests(root: Path, runs: Sequence[Run], here: Mapping[str, str]) -> None:
    """UserError where a file is not what its run wrote, or a run read something else than the maker of that wrote.

    Args:
        root: the results directory, for messages.
        runs: all of them.
        here: SHA-256 of the files at hand, by their paths from `root`.
    """
    written = {file.path: (file.sha256, run) for run in runs for file in run.outputs if file.sha256}
    for path, (digest, run) in written.items():
        if here.get(path, digest) != digest:
            raise UserError(f"{root / path}: changed since {run.label} wrote it: make it again")
    for run in runs:
        for file in run.inputs:
            found = written.get(file.path)
            if found and file.sha256 not in (None, found[0]):
                raise UserError(
                    f"{root / file.path}: {run.label} read another one than {found[1].label} wrote: run snakemake again"
                )
