"""Damaged, empty, wrong-shaped and mislabelled data through the real scripts: one clear line, status 2, nothing lost.

What the readers refuse beyond this, array by array and line by line: tests/data/test_sources.py, test_splits.py,
test_corpus.py and test_tokenisers.py.
"""

import gzip
import json
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certifuse.data.images.image_set import ImageSet, save_image_set

ROOT = Path(__file__).resolve().parents[2]
IMAGES = np.arange(6 * 5 * 4 * 3, dtype=np.uint8).reshape(6, 4, 5, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2])
DOCUMENTS = "".join(json.dumps({"text": f"document {number}"}) + "\n" for number in range(200)).encode()
EARLIER = b"an earlier output"


@dataclass(frozen=True)
class Case:
    """Bad data for one script.

    Args:
        script: the name of the script.
        settings: what it gets, with `{here}` for the directory.
        line: a pattern of the line that is expected, with `{here}` for the directory.
        write: puts the data into a directory.
        options: further options.
        outputs: where the script would write, below the directory.
    """

    script: str
    settings: Mapping[str, Any]
    line: str
    write: Callable[[Path], Any]
    options: tuple[str, ...]
    outputs: tuple[str, ...] = field(default=())


# ---- images --------------------------------------------------------------------------------------


def npz(line: str, content: bytes | None = None, **changes: Any) -> Case:
    """An archive with changed arrays, or with other content altogether."""

    def write(here: Path) -> None:
        arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:2], "test_labels": LABELS[:2]}
        kept = {name: array for name, array in (arrays | changes).items() if array is not None}
        np.savez(here / "toy.npz", **kept)
        if content is not None:
            whole = (here / "toy.npz").read_bytes()
            (here / "toy.npz").write_bytes(whole[: len(whole) // 2] if content == b"half" else content)

    settings = {"data": {"source": "npz", "path": "{here}/toy.npz"}}
    return images(settings, f"{{here}}/toy.npz: {line}", write)


def images(settings: Mapping[str, Any], line: str, write: Callable[[Path], Any] = lambda here: None) -> Case:
    return Case(
        "prepare_images", settings, line, write, ("--output", "out/images.safetensors"), ("images.safetensors",)
    )


class Trap:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def cifar(name: str, found: str, **files: bytes) -> Case:
    """A directory with other files than the official ones."""

    def write(here: Path) -> None:
        for path, content in files.items():
            target = here / "data" / path.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    folder = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[name]
    line = (
        f"{{here}}/data/{folder}: expected the official {name} files, found {found}; set data.download: true, or put "
    )
    return images({"data": {"source": name, "root": "{here}/data"}}, line, write)


WRONG_IMAGES = {
    "floats for pixels": npz("train_images: expected uint8 .*, found float64", train_images=IMAGES / 255),
    "channels first": npz(
        r"train_images: expected \(N, H, W, C\) .*transpose", train_images=IMAGES.transpose(0, 3, 1, 2).copy()
    ),
    "flat images": npz(r"train_images: expected uint8 .*, found uint8 \(6, 60\)", train_images=IMAGES.reshape(6, 60)),
    "other test size": npz("test_images: expected .* as in train_images", test_images=IMAGES[:2, :3]),
    "no labels": npz("expected array 'train_labels', found ", train_labels=None),
    "fewer labels than images": npz(r"train_labels: expected int64 \(6,\), one per image", train_labels=LABELS[:5]),
    "negative label": npz("train_labels: expected classes 0..2, found -1..2", train_labels=LABELS - (LABELS == 0)),
    "float labels": npz("train_labels: expected integers .*, found float64", train_labels=LABELS / 1),
    "classes that begin at one": npz("train_labels: expected classes 0..K-1, found none of 0", train_labels=LABELS + 1),
    "unknown class in the test part": npz(
        "test_labels: expected classes 0..2, found 0..9", test_labels=np.array([0, 9])
    ),
    "one class only": npz(
        "train_labels: expected two classes or more, found 1", train_labels=LABELS * 0, test_labels=LABELS[:2] * 0
    ),
    "no image": npz("train_images: expected non-empty", train_images=IMAGES[:0], train_labels=LABELS[:0]),
    "pickled objects": npz(
        "train_labels: expected a plain array, found unreadable data", train_labels=np.array([Trap()] * 6, dtype=object)
    ),
    "half an archive": npz("expected an .npz archive, found another kind of file or a truncated one", b"half"),
    "empty file": npz("expected an .npz archive", b""),
    "a text file": npz("expected an .npz archive", b"train_images"),
    "no file": images(
        {"data": {"source": "npz", "path": "{here}/absent.npz"}}, "{here}/absent.npz: expected an .npz file, found none"
    ),
    "no CIFAR-10": cifar("cifar10", "nothing"),
    "another archive under the name of CIFAR-100": cifar(
        "cifar100", "nothing", **{"cifar-100-python.tar.gz": gzip.compress(b"other")}
    ),
    "a changed batch of CIFAR-10": cifar(
        "cifar10", "files that differ from the official ones", **{"cifar-10-batches-py__data_batch_1": b"cos\nmkdir\n"}
    ),
}


# ---- splits --------------------------------------------------------------------------------------


def splits(line: str, classes: list[int], content: bytes | None = None, **settings: Any) -> Case:
    """Images of these classes, or a file with other content."""
    import torch

    def write(here: Path) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.tensor(classes)
        pixels = torch.randint(256, (len(classes), 1, 4, 4), generator=generator, dtype=torch.uint8)
        image_set = ImageSet(pixels, labels, pixels[:1], labels[:1], int(labels.max()) + 1, "toy")
        save_image_set(image_set, here / "images.safetensors")
        if content is not None:
            whole = (here / "images.safetensors").read_bytes()
            (here / "images.safetensors").write_bytes(whole[:-9] if content == b"cut" else content)

    options = ("--images", "{here}/images.safetensors", "--output", "out/splits.safetensors", "--summary", "out/s.json")
    return Case("split_images", {"splits": settings}, line, write, options, ("splits.safetensors", "s.json"))


WRONG_SPLITS = {
    "one image of a class": splits("splits: expected every class .* class 2, which has 1 training", [0, 1] * 50 + [2]),
    "no validation image": splits(
        "splits: the validation set is empty; add images, or change", [0, 1, 2] * 4, fusion_fraction=0.3
    ),
    "more experts than classes": splits(
        "splits: scheme by_class: expected at most 3 experts", [0, 1, 2] * 40, scheme="by_class"
    ),
    "more experts than images": splits(
        r"splits: the expert_\d+ set is empty", [0, 1, 2] * 40, scheme="disjoint", experts=200
    ),
    "cut image set": splits(r"{here}/images\.safetensors: ", [0, 1] * 9, b"cut"),
    "another file": splits(r"{here}/images\.safetensors: ", [0, 1] * 9, b"hello"),
}


# ---- documents -----------------------------------------------------------------------------------


def corpus(line: str, content: bytes, name: str = "a.jsonl", validation: str | None = None, **settings: Any) -> Case:
    """One file of documents, which is the validation part too where `validation` names it."""
    files = {"train": [f"{{here}}/{name}"]} | ({"validation": [f"{{here}}/{validation}"]} if validation else {})
    return Case(
        "prepare_corpus",
        {"corpus": {"source": "jsonl"} | files | settings},
        line,
        lambda here: (here / name).write_bytes(content),
        ("--directory", "out"),
        ("manifest.json", "train.bin"),
    )


LINE_201 = r'{here}/a\.jsonl: line 201: expected \{"text": "\.\.\."\}, '
DAMAGED = r"{here}/a\.jsonl\.(gz|xz): expected a readable file, found a damaged one"
WRONG_DOCUMENTS = {
    "empty file": corpus("corpus: expected at least one train document, found none among 0 read", b""),
    "empty documents": corpus(
        r"corpus: expected at least one train document, found none among \d+ read \(\d+ too short, 0 kept before\)",
        b'{"text": ""}\n' * 200,
    ),
    "one document, again and again": corpus(
        r"corpus: expected at least one validation document, found none among \d+ read \(0 too short, \d+ kept",
        b'{"text": "the same"}\n' * 200,
    ),
    "validation is training": corpus(
        "corpus: expected at least one validation document, found none among 200 read .*200 kept before",
        DOCUMENTS,
        validation="a.jsonl",
    ),
    "broken JSON": corpus(LINE_201 + "found no JSON", DOCUMENTS + b"{\n"),
    "no text": corpus(LINE_201 + r"found \['body'\]", DOCUMENTS + b'{"body": "a"}\n'),
    "not UTF-8": corpus(LINE_201 + "found no JSON", DOCUMENTS + b'{"text": "\xe9"}\n'),
    "truncated gzip": corpus(
        r"{here}/a\.jsonl\.gz: expected a readable file, found a damaged one",
        gzip.compress(DOCUMENTS)[:-40],
        "a.jsonl.gz",
    ),
    "truncated xz": corpus(
        r"{here}/a\.jsonl\.xz: expected a readable file, found a damaged one",
        lzma.compress(DOCUMENTS)[:-40],
        "a.jsonl.xz",
    ),
    "no file": corpus(
        r"{here}/a\.jsonl: expected a file .*, found none", DOCUMENTS, "b.jsonl", None, train=["{here}/a.jsonl"]
    ),
    "no vocabulary": corpus(
        r"{here}/vocab\.bpe: expected GPT-2's vocab\.bpe, found no file", DOCUMENTS, tokenizer="gpt2", gpt2_bpe="{here}"
    ),
}

CASES = {
    f"{group}: {name}": case
    for group, cases in {"images": WRONG_IMAGES, "splits": WRONG_SPLITS, "documents": WRONG_DOCUMENTS}.items()
    for name, case in cases.items()
}

GOOD = "images: no mistake"
CASES[GOOD] = npz("")


# ---- the scripts ---------------------------------------------------------------------------------


def prepared(case: Case, here: Path) -> dict[str, Any]:
    """The call of the script on this data, in a directory where the outputs of an earlier run are."""
    (here / "out").mkdir(parents=True)
    for name in case.outputs:
        (here / "out" / name).write_bytes(EARLIER)
    case.write(here)
    settings = json.dumps(case.settings).replace("{here}", str(here))
    arguments = [
        "--settings",
        settings,
        "--source",
        "test",
        *(option.replace("{here}", str(here)) for option in case.options),
    ]
    script = ROOT / "workflow" / "scripts" / f"{case.script}.py"
    return {"script": str(script), "arguments": arguments, "directory": str(here)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """Every case: its directory and the exit status of the script."""
    root = tmp_path_factory.mktemp("bad data")
    places = {name: root / str(number) for number, name in enumerate(CASES)}
    calls = [prepared(CASES[name], here) for name, here in places.items()]
    command = [sys.executable, "-W", "error", Path(__file__).with_name("run_scripts.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(
        command, input=json.dumps(calls), env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return dict(zip(CASES, zip(places.values(), json.loads(done.stdout), strict=True), strict=True))


@pytest.mark.parametrize("name", [name for name in CASES if name != GOOD])
def test_bad_data_is_one_line_and_nothing_is_lost(name: str, runs: Any) -> None:
    case, (here, status) = CASES[name], runs[name]
    said = (here / "stderr").read_text(encoding="utf-8")
    assert status == 2, said
    line = case.line.replace("{here}", re.escape(str(here)))
    assert re.fullmatch(rf"\d\d:\d\d:\d\d error: {line}[^\n]*\n", said), said
    assert (here / "stdout").read_bytes() == b""
    left = {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    assert left == dict.fromkeys(case.outputs, EARLIER), "earlier outputs stay, and no part of a new one is there"
    assert not (here / "unpickled").exists()


def test_good_data_replaces_the_earlier_outputs(runs: Any) -> None:
    """So that the test above can fail: the same archive without a mistake goes through."""
    here, status = runs[GOOD]
    assert status == 0, (here / "stderr").read_text(encoding="utf-8")
    assert (here / "out" / "images.safetensors").read_bytes() != EARLIER
    assert (here / "out" / "manifest.json").is_file()
