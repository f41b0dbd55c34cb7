"""Files that somebody made to harm: pipes, devices, nesting, sizes that are none, texts that steer a terminal.

Each call has seconds of a processor and a gigabyte of memory; it ends with one line, and nothing that it prints
controls a terminal. They are made in one process that forks (`run_scripts.py`): most of a call is the import of torch.
"""

import json
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from forging import content_of, reseal
from safetensors.torch import save_file

from certifuse.models.components.assembly import expert_spec, fusion_spec, head_spec
from certifuse.models.components.files import save_component
from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.fusion import FusionModuleSettings

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 10
LIMIT_BYTES = 1 << 30
SPARSE_BYTES = 1 << 42
UNPRINTABLE = re.compile(r"[^\n\x20-\x7e\x80-\uffff]|[\x80-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
FAKE = "\x1b[2K\r/trusted: verified: error at most 0.00 %\u202e\nverified\x07\x9b1m"


@dataclass(frozen=True)
class Case:
    """An attack.

    Args:
        make: puts the file into a directory, in which there is a certified study; the arguments of the call.
        line: a pattern of the last line that is said.
        script: the program.
        status: of the call.
    """

    make: Callable[[Path], list[str]]
    line: str
    script: str = "certifuse"
    status: int = 2


# ---- something else in the place of a file -----------------------------------------------------------

PIPE, DEVICE, SPARSE = "a named pipe", "a device", str(SPARSE_BYTES)


def replace(path: Path, kind: str) -> None:
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    if kind == PIPE:
        os.mkfifo(path)
    elif kind == DEVICE:
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as stream:
            stream.truncate(SPARSE_BYTES)


PLACES: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "a certificate": ("subspace/levels_3/certificate.json", lambda here: ["verify", str(here / "subspace/levels_3")]),
    "a bitstream": ("subspace/levels_3/model.cfqv", lambda here: ["verify", str(here / "subspace/levels_3")]),
    "its images": ("images.safetensors", lambda here: ["verify", str(here / "subspace/levels_3")]),
    "a configuration": ("study.yaml", lambda here: ["status", "--configfile", str(here / "study.yaml")]),
    "losses": ("losses.txt", lambda here: ["bound", *BOUND, "--losses", str(here / "losses.txt")]),
    "losses of NumPy": ("losses.npy", lambda here: ["bound", *BOUND, "--losses", str(here / "losses.npy")]),
    "a component": (
        "expert.safetensors",
        lambda here: ["components", "evaluate", *network(here / "expert.safetensors")],
    ),
}
BOUND = [
    *("--loss", "bpd", "--risk", "1", "--bits", "10", "--delta", "0.1", "--alpha", "0.1"),
    *("--documents", "100", "--subsample", "10", "--vocabulary", "256"),
]


def network(expert: Path) -> list[str]:
    files = {"--images": "images", "--splits": "splits", "--split": "test"}
    return ["--experts", str(expert), *(word for pair in files.items() for word in pair)]


def in_place_of(name: str, kind: str) -> Case:
    place, call = PLACES[name]

    def make(here: Path) -> list[str]:
        replace(here / place, kind)
        return call(here)

    return Case(make, rf"error: .*{re.escape(place)}: (expected .* )?(found|needs) .*{re.escape(kind)}.*")


CASES = {f"{kind} for {name}": in_place_of(name, kind) for name in PLACES for kind in (PIPE, DEVICE, SPARSE)}


# ---- certificates ----------------------------------------------------------------------------------


def certificate(line: str, **changes: Any) -> Case:
    """A certificate with other values, sealed again."""

    def make(here: Path) -> list[str]:
        directory = here / "subspace/levels_3"
        reseal(directory, content_of(directory) | changes)
        return ["verify", str(directory)]

    return Case(make, rf"error: .*: not verified: {line}")


def nested_certificate(here: Path) -> list[str]:
    path = here / "subspace/levels_3" / CERTIFICATE_FILE
    path.write_text('{"format": 1, "sha256": ' + "[" * 5000 + "]" * 5000 + "}")
    return ["verify", str(path.parent)]


def cut_bitstream_beside_a_steering_name(here: Path) -> list[str]:
    directory = here / FAKE.replace("/", "_")
    (here / "subspace/levels_3").rename(directory)
    (directory / BITSTREAM_FILE).write_bytes(b"")
    return ["verify", str(directory)]


CASES |= {
    "a certificate that is nested": Case(nested_certificate, r"error: .*: not verified: .*damaged file.*"),
    "a certificate that steers a terminal": certificate("statement: the certificate says .*verified.*", statement=FAKE),
    "a device as a file of a certificate": certificate(
        r".*/dev/zero: expected a file .*, found a device.*",
        splits={"path": "/dev/zero", "sha256": "0" * 64},
    ),
    "a file of a certificate whose name steers": certificate(".*", images={"path": FAKE, "sha256": "0" * 64}),
    "a directory whose name steers": Case(cut_bitstream_beside_a_steering_name, "error: .*not verified: .*"),
}


# ---- components ------------------------------------------------------------------------------------

RESNET = {"name": "resnet", "width": 4, "blocks": [1, 1]}
MODULE = FusionModuleSettings()


def component(line: str, spec: dict[str, Any]) -> Case:
    """An expert of another specification."""

    def make(here: Path) -> list[str]:
        save_component(here / "expert.safetensors", spec, {"head.weight": torch.zeros(3, 8)})
        return ["components", "reconstruct", "--experts", str(here / "expert.safetensors")]

    return Case(make, rf"error: .*{line}")


def fused(line: str, spec: dict[str, Any]) -> Case:
    """The tiny study's expert with a fusion module of another specification."""

    def make(here: Path) -> list[str]:
        save_component(here / "fusion.safetensors", spec, {"weight": torch.zeros(3, 8)})
        save_component(here / "head.safetensors", head_spec(8, 4), {"weight": torch.zeros(4, 8)})
        (expert,) = sorted(here.rglob("expert_0_best.safetensors"))
        files = {
            "--experts": expert,
            "--fusion": here / "fusion.safetensors",
            "--global-head": here / "head.safetensors",
        }
        return ["components", "reconstruct", *(str(word) for pair in files.items() for word in pair)]

    return Case(make, rf"error: .*{line}")


def listed(header: str) -> Callable[[Path], list[str]]:
    """A component in the open form with other metadata."""

    def make(here: Path) -> list[str]:
        (here / "listed").mkdir()
        save_file({"weight": torch.zeros(1)}, here / "listed/expert.safetensors", {"certifuse": header})
        return ["components", "list", str(here / "listed")]

    return make


STEERING = {"format": 1, "spec": {"kind": "global_head", "input_dim": 2, "num_classes": 3}, "about": {"origin": FAKE}}
CASES |= {
    "metadata that are nested": Case(
        listed('{"format": 1, "about": {}, "spec": ' + "[" * 5000 + "]" * 5000 + "}"), "damaged: .*", status=1
    ),
    "metadata that steer a terminal": Case(listed(json.dumps(STEERING)), "1 components.*", status=0),
    "a width of a billion": component(
        "architecture resnet: width: .*16384, found 1000000000", expert_spec(RESNET | {"width": 10**9}, 3, 3)
    ),
    "a width that no file of a kilobyte holds": component(
        r"tensor head\.bias: expected shape \(3,\), found None", expert_spec(RESNET | {"width": 16384}, 3, 3)
    ),
    "a thousand stages": component(
        "architecture resnet: blocks: .*", expert_spec(RESNET | {"blocks": [1] * 1000}, 3, 3)
    ),
    "a billion classes": component("num_classes: .* found 1000000000", expert_spec(RESNET, 10**9, 3)),
    "classes that are none": component("num_classes: .*", expert_spec(RESNET, "many", 3)),  # type: ignore[arg-type]
    "no architecture": component("architecture.name: .*", {**expert_spec({}, 3, 3)}),
    "a kind that is none": component("kind: expected one of .*", {"kind": ["expert"]}),
    "a billion experts": fused("experts: .* found 1000000000", fusion_spec("concatenation", 10**9, 8, MODULE)),
    "a hidden layer of a billion": fused(
        "tensor .*: expected shape .*",
        fusion_spec("concatenation", 1, 8, FusionModuleSettings(hidden_dim=10**9)),
    ),
    "a hidden layer beyond counting": fused(
        "expected sizes that fit a machine, .*",
        fusion_spec("concatenation", 1, 8, FusionModuleSettings(hidden_dim=10**18)),
    ),
}


def pipes_everywhere(here: Path) -> list[str]:
    """A study whose configuration is sound, and whose logs, manifests and components are pipes."""
    grid = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}
    study = {"name": "tiny", "results_dir": "results", "data": {"source": "digits"}, "grid": [grid]}
    (here / "study.yaml").write_text(json.dumps(study))
    results = here / "results"
    names = {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0}
    for template in (paths.CELL_LOG, f"{paths.CELL_DIR}/manifest.json", f"{paths.CELL_DIR}/a.safetensors"):
        file = results / template.format(**names)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, PIPE)
    (results / "metrics").mkdir()
    (results / "metrics/table.csv").write_text("a\n1\n")
    replace(results / "metrics/table_manifest.json", PIPE)
    return []


def status_of_pipes(here: Path) -> list[str]:
    pipes_everywhere(here)
    return ["status", "--configfile", str(here / "study.yaml")]


def provenance_of_pipes(here: Path) -> list[str]:
    pipes_everywhere(here)
    return ["provenance", str(here / "results/metrics/table.csv")]


def list_of_pipes(here: Path) -> list[str]:
    pipes_everywhere(here)
    return ["components", "list", str(here / "results")]


CASES |= {
    "pipes for logs": Case(status_of_pipes, ".*", status=0),
    "pipes for manifests": Case(provenance_of_pipes, "error: .*"),
    "pipes for components": Case(list_of_pipes, "damaged: .* found a named pipe.*", status=1),
}


# ---- data ------------------------------------------------------------------------------------------


def images(kind: str) -> Callable[[Path], list[str]]:
    def make(here: Path) -> list[str]:
        replace(here / "toy.npz", kind)
        settings = {"data": {"source": "npz", "path": str(here / "toy.npz")}}
        output = str(here / "out.safetensors")
        return ["--settings", json.dumps(settings), "--source", "test", "--output", output, "--download", "0"]

    return make


def corpus(write: Callable[[Path], None], name: str = "a.jsonl") -> Callable[[Path], list[str]]:
    def make(here: Path) -> list[str]:
        write(here / name)
        settings = {"corpus": {"source": "jsonl", "train": [str(here / name)], "validation_fraction": 0.2}}
        output = str(here / "out")
        return ["--settings", json.dumps(settings), "--source", "test", "--directory", output, "--download", "0"]

    return make


def one_line(path: Path) -> None:
    """A line of 1.5 GB in a file of some 230 kB."""
    part = lzma.compress(b" " * (1 << 26), preset=0)
    path.write_bytes(lzma.compress(b'{"text": "') + part * 24 + lzma.compress(b'"}\n'))


for kind in (PIPE, DEVICE):
    line = rf".*error: .*: expected a regular file, found {kind}.*"
    CASES[f"{kind} for images"] = Case(images(kind), line, "prepare_images")
    CASES[f"{kind} for documents"] = Case(corpus(lambda path, kind=kind: replace(path, kind)), line, "prepare_corpus")
CASES["a document of 1.5 GB in a small file"] = Case(
    corpus(one_line, "a.jsonl.xz"),
    ".*error: .*: line 1: expected at most 67108864 bytes, found more.*",
    "prepare_corpus",
)


# ---- the calls -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls(certified: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Every case: its exit status, and all that it said."""
    root = tmp_path_factory.mktemp("hostile")
    program = root / "certifuse.py"
    program.write_text("import sys\nfrom certifuse.cli.main import main\nsys.exit(main())\n")
    places = {name: root / str(number) for number, name in enumerate(CASES)}
    runs = []
    for name, here in places.items():
        certified.copy(here)
        script = program if CASES[name].script == "certifuse" else ROOT / f"workflow/scripts/{CASES[name].script}.py"
        limits = {"limit_s": LIMIT_S, "limit_bytes": LIMIT_BYTES}
        runs.append({"script": str(script), "arguments": CASES[name].make(here), "directory": str(here), **limits})
    command = [
        sys.executable,
        "-c",
        f"import torch, certifuse.certificates.verify, runpy; runpy.run_path({RUN!r}, run_name='__main__')",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=json.dumps(runs), env=environment, capture_output=True, text=True, check=True)
    said = [
        "".join((here / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")) for here in places.values()
    ]
    return dict(zip(CASES, zip(json.loads(done.stdout), said, strict=True), strict=True))


RUN = str(Path(__file__).with_name("run_scripts.py"))


@pytest.mark.parametrize("name", CASES)
def test_it_ends_with_one_line_soon_and_in_little_memory(calls: Any, name: str) -> None:
    case, (status, said) = CASES[name], calls[name]
    assert status == case.status, said[-2000:]
    lines = said.split("\n")[:-1]
    assert re.fullmatch(case.line, lines[-1]), said[-2000:]
    if status == 2:
        assert len(lines) == 1
    assert UNPRINTABLE.search(said) is None
    assert not any(line.startswith("verified") for line in lines)
