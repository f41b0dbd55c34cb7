"""A tiny finished study whose every digest is known: manifests as the steps write them, and Snakemake's of a figure."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
import yaml

import certifuse
from certifuse.base import manifest as manifests
from certifuse.base.digests import digest_file
from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.manifest import StepRecord, path_from
from certifuse.cli.main import main
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
METRICS_DIR = "metrics/cells/resnet/concatenation/lambda_0.5/seed_0"
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


class Given(dict):
    """Settings that are a dictionary already."""

    def plain(self):
        return dict(self)


class Results:
    """The results directory of the study, written step by step."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.workdir = root.parent
        self.config = self.workdir / "config.yaml"
        self.monkeypatch = monkeypatch
        self.config.write_text(yaml.safe_dump(CONFIG))
        self.study = read_study(CONFIG)
        monkeypatch.setattr(manifests, "environment_record", lambda: ENVIRONMENT)

    def write(self, path, content=None):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content or f"content of {path}")
        return file

    def digest(self, path):
        return digest_file(self.root / path)

    def step(self, step, settings, inputs, outputs, manifest, identity=None, runtime=None):
        """A step that writes the uniform manifest."""
        self.monkeypatch.setattr(manifests, "running_source", lambda: source_fingerprint(SCRIPTS / f"{step}.py"))
        record = StepRecord(step, Given(json.loads(settings)), [self.root / path for path in inputs])
        record.write(self.root / manifest, [self.write(path) for path in outputs], identity, runtime)

    def training(self, script, job, settings, manifest, options, inputs, **more):
        """A step that trains: names for its inputs, their paths in the command only."""
        logs = [self.workdir / word.partition("=")[2] for word in options if word.startswith("--log-file=")]
        common = [f"--manifest=results/{manifest}", f"--resume-dir=results/.resume/{job}", "--settings={...}"]
        words = [word for option in [*common, *options] for word in option.split("=", 1)]
        record = {
            "settings": json.loads(settings),
            "source_fingerprint": source_fingerprint(SCRIPTS / script),
            "inputs_sha256": {name: self.digest(path) for name, path in inputs.items()},
            "logs_sha256": {path_from((self.root / manifest).parent, log): digest_file(log) for log in logs},
            "environment": ENVIRONMENT | {"command": [script, *words]},
            "runtime": RUNTIME,
            "training_wall_s": 2.5,
            "peak_memory_bytes": 3 * 2**20,
            "seed": 0,
            **more,
        }
        self.write(manifest, json.dumps(record))

    def snakemake(self, path, rule, inputs, log, settings):
        """Snakemake's record of an output: paths from the working directory, parameters without names."""
        record = {
            "rule": rule,
            "input": [f"results/{name}" for name in inputs],
            "log": [f"results/logs/{log}.log"],
            "shellcmd": f'python "$SCRIPTS/{rule}.py" --png results/{path}',
            "params": [repr(settings), repr(source_fingerprint(SCRIPTS / f"{rule}.py"))],
            "record_format_version": 6,
            "starttime": 1795227196.25,
            "endtime": (self.root / path).stat().st_mtime,
            "input_checksums": {f"results/{name}": f"sha256:{self.digest(name)}" for name in inputs},
        }
        metadata = self.workdir / ".snakemake" / "metadata"
        metadata.mkdir(parents=True, exist_ok=True)
        (metadata / urlsafe_b64encode(f"results/{path}".encode()).decode()).write_text(json.dumps(record))

    def finish(self):
        """Everything, from the images to a figure."""
        study, images, splits = self.study, "data/images.safetensors", "splits/splits.safetensors"
        self.step("prepare_images", study.for_images(), [], [images], "data/manifest.json")
        self.step("split_images", study.for_splits(), [images], [splits], "splits/manifest.json")
        data = {"images": images, "splits": splits}
        given = [f"--images=results/{images}", f"--splits=results/{splits}"]
        experts = [f"experts/resnet/seed_0/expert_{index}_best.safetensors" for index in range(2)]
        for index, path in enumerate(experts):
            self.write(path)
            log = self.write(f"csv_logs/resnet_experts/resnet_expert_{index}_seed_0_training_log.csv")
            options = [f"--output=results/{path}", *given, f"--log-file=results/{log.relative_to(self.root)}"]
            manifest = f"experts/resnet/seed_0/expert_{index}_manifest.json"
            job = f"pretrain_expert/resnet_seed_0_expert_{index}"
            found = {"member": f"expert_{index}", "component_sha256": self.digest(path)}
            settings = study.for_pretraining("resnet", f"expert_{index}")
            self.training("pretrain_expert.py", job, settings, manifest, options, data, **found)
        self._cell(experts, given, data)
        evaluated = [f"{METRICS_DIR}/{name}" for name in ("metrics.csv", "predictions.safetensors")]
        read = [images, splits, f"{CELL_DIR}/complete_fusion_best.safetensors"]
        manifest = f"{METRICS_DIR}/manifest.json"
        self.step("evaluate_fusion", study.for_evaluation(), read, evaluated, manifest, CELL, RUNTIME)
        self.step("gather", study.for_gathering(), evaluated[:1], [SUMMARY], "metrics/gather_manifest.json")
        self.write(FIGURE)
        self.snakemake(
            FIGURE, "draw_figure", [SUMMARY], "draw_figure/lambda_ablation", study.for_figure("lambda_ablation")
        )
        self.write("logs/train_fusion/resnet_concatenation_lambda_0.5_seed_0.log")
        self.write("logs/draw_figure/lambda_ablation.log")
        return self

    def _cell(self, experts, given, data):
        complete = f"{CELL_DIR}/complete_fusion_best.safetensors"
        self.write(complete)
        self.write(f"{CELL_DIR}/epochs/epoch_10/complete_fusion_best.safetensors")
        log = self.write("csv_logs/resnet_fusions/resnet_concatenation_lambda_0.5_seed_0_training_log.csv")
        options = ["--fusion=concatenation", "--experts", *(f"results/{path}" for path in experts), *given]
        options.append(f"--log-file=results/{log.relative_to(self.root)}")
        self.training(
            "train_fusion.py",
            "train_fusion/resnet_concatenation_lambda_0.5_seed_0",
            self.study.for_fusion("resnet", "concatenation"),
            f"{CELL_DIR}/manifest.json",
            options,
            data | {f"expert_{index}": path for index, path in enumerate(experts)},
            architecture="resnet",
            fusion="concatenation",
            lam="0.5",
            components_sha256={"complete_fusion_best.safetensors": self.digest(complete)},
        )


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The finished study."""
    return Results(tmp_path / "results", monkeypatch).finish()


@pytest.fixture
def call(capsys):
    """Runs the program: (exit status, standard output, standard error)."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refused(call):
    """Runs the program, which must refuse with status 2 and one line; returns that line."""

    def run(*arguments):
        code, out, err = call(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

    return run
