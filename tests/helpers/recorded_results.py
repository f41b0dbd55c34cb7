"""A tiny finished study whose every digest is known: manifests as the steps write them, and Snakemake's of a figure."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import certifuse
from certifuse.base import manifest as manifests
from certifuse.base.digests import digest_file
from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.manifest import StepRecord, read_manifest, write_manifest
from certifuse.study.steps.registry import STEPS
from certifuse.study.steps.step import Step
from certifuse.study.study import read_study

SCRIPTS = Path(certifuse.__file__).parents[2] / "workflow" / "scripts"
CONFIG = {
    "name": "tiny",
    "data": {"source": "digits"},
    "splits": {"experts": 2},
    "pretraining": {"augmentation": "none"},
    "fusion": {"augmentation": "none"},
    "grid": [{"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["0.5"], "seeds": [0]}],
}
CELL = {"architecture": "resnet", "fusion": "concatenation", "lambda": "0.5", "seed": 0}
CELL_DIR = "fusion_checkpoints/resnet_fusions_lambda_0.5/concatenation/seed_0"
CELL_LOG = "csv_logs/resnet_fusions/resnet_concatenation_lambda_0.5_seed_0_training_log.csv"
METRICS_DIR = "metrics/cells/resnet/concatenation/lambda_0.5/seed_0"
IMAGES, SPLITS = "data/images.safetensors", "splits/splits.safetensors"
EXPERTS = tuple(f"experts/resnet/seed_0/expert_{index}_best.safetensors" for index in range(2))
COMPLETE = f"{CELL_DIR}/complete_fusion_best.safetensors"
SUMMARY, FIGURE = "metrics/fusion_performance_summary.csv", "figures/lambda_ablation.png"
COMMIT, DIFFERENCE = "c0ffee" * 6 + "c0ff", "d1" * 32
ENVIRONMENT = {
    "command": ["a.py"],
    "git": {"commit": COMMIT, "dirty": True, "diff_sha256": DIFFERENCE},
    "machine": "x86_64",
    "packages": {"python": "3.11.7", "torch": "2.13.0", "snakemake": "9.27.1", "scipy": None},
    "platform": "Linux",
    "processor": "model name AMD EPYC, cpu family 26, model 2",
}
RUNTIME = {"device": "cpu", "deterministic": True, "precision": "fp32", "tf32": False, "threads": 1}
TRAINING_WALL_S, PEAK_MEMORY_BYTES = 2.5, 3 * 2**20


class Results:
    """The results directory of the study, written step by step."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.workdir = root.parent
        self.config = self.workdir / "config.yaml"
        self.config.write_text(yaml.safe_dump(CONFIG))
        self.study = read_study(CONFIG)
        monkeypatch.setattr(manifests, "environment_record", lambda: ENVIRONMENT)

    def write(self, path: str, content: str | None = None) -> Path:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content or f"content of {path}")
        return file

    def digest(self, path: str) -> str:
        """SHA-256 of a file."""
        return digest_file(self.root / path)

    def step_of(self, rule: str, names: Mapping[str, Any]) -> Step:
        """The step of a job of the study."""
        return STEPS[rule].of(self.study, names)

    def run(
        self,
        rule: str,
        names: Mapping[str, Any],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        manifest: str,
        **found: Any,
    ) -> None:
        """A job that ran: its outputs and its manifest."""
        step = self.step_of(rule, names)
        source = source_fingerprint(SCRIPTS / f"{rule}.py", step.modules())
        record = StepRecord(step, source, [self.root / path for path in inputs])
        record.write(
            self.root / manifest,
            [self.write(path) for path in outputs],
            runtime=RUNTIME,
            peak_memory_bytes=PEAK_MEMORY_BYTES,
            found=found,
        )

    def edit(self, manifest: str, **changes: Any) -> None:
        """Write a manifest anew, with other values."""
        write_manifest(self.root / manifest, read_manifest(self.root / manifest) | changes)

    def outdate(self, manifest: str) -> None:
        """Make a manifest one of an older version."""
        record = read_manifest(self.root / manifest)
        del record["format"], record["step"]
        write_manifest(self.root / manifest, record)

    def snakemake(self, path: str, rule: str, names: Mapping[str, Any], inputs: tuple[str, ...], log: str) -> None:
        """Snakemake's record of an output: paths from the working directory, parameters without names."""
        step = self.step_of(rule, names)
        source = source_fingerprint(SCRIPTS / f"{rule}.py", step.modules())
        record = {
            "rule": rule,
            "input": [f"results/{name}" for name in inputs],
            "log": [f"results/logs/{log}.log"],
            "shellcmd": f"python {rule}.py --png results/{path}",
            "params": [repr(step.text), repr(source)],
            "record_format_version": 6,
            "starttime": 1795227196.25,
            "endtime": (self.root / path).stat().st_mtime,
            "input_checksums": {f"results/{name}": f"sha256:{self.digest(name)}" for name in inputs},
        }
        metadata = self.workdir / ".snakemake" / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        (metadata / urlsafe_b64encode(f"results/{path}".encode()).decode()).write_text(json.dumps(record))

    def finish(self) -> "Results":
        """Everything, from the images to a figure."""
        trained = {"training_wall_s": TRAINING_WALL_S}
        self.run("prepare_images", {}, (), (IMAGES,), "data/manifest.json")
        self.run("split_images", {}, (IMAGES,), (SPLITS,), "splits/manifest.json")
        for index, path in enumerate(EXPERTS):
            member = {"architecture": "resnet", "seed": 0, "member": f"expert_{index}"}
            log = f"csv_logs/resnet_experts/resnet_expert_{index}_seed_0_training_log.csv"
            manifest = f"experts/resnet/seed_0/expert_{index}_manifest.json"
            self.run("pretrain_expert", member, (IMAGES, SPLITS), (path, log), manifest, **trained)
        manifest = f"{CELL_DIR}/manifest.json"
        self.run("train_fusion", CELL, (IMAGES, SPLITS, *EXPERTS), (COMPLETE, CELL_LOG), manifest, **trained)
        self.write(f"{CELL_DIR}/epochs/epoch_10/complete_fusion_best.safetensors")
        scores = (f"{METRICS_DIR}/metrics.csv", f"{METRICS_DIR}/predictions.safetensors")
        self.run("evaluate_fusion", CELL, (IMAGES, SPLITS, COMPLETE), scores, f"{METRICS_DIR}/manifest.json")
        self.run("gather", {}, scores[:1], (SUMMARY,), "metrics/gather_manifest.json")
        self.write(FIGURE)
        self.snakemake(FIGURE, "draw_figure", {"figure": "lambda_ablation"}, (SUMMARY,), "draw_figure/lambda_ablation")
        self.write("logs/train_fusion/resnet_concatenation_lambda_0.5_seed_0.log")
        self.write("logs/draw_figure/lambda_ablation.log")
        return self
