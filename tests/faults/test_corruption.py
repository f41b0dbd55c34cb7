"""Every kind of stored file, cut at each 64th and with a bit flipped in each of its sections: all of it is noticed."""

import json
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.base.manifest import read_manifest
from certifuse.certificates.images.certificate import read_certificate
from certifuse.certificates.language.certificate import read_language_certificate
from certifuse.certificates.sealed_files import read_bitstream
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.data.text.corpus import load_corpus
from certifuse.evaluation.images.predictions import load_predictions
from certifuse.models.components.assembly import load_complete
from certifuse.models.components.files import load_component
from certifuse.models.subspace.trained_vector import load_vector
from certifuse.reporting.frames import read_frame
from certifuse.reporting.fusion.frames import SCHEMAS
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.steps.gather import gather
from certifuse.study import paths
from certifuse.study.cells import Cell
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.steps.gathering import Gather, GatheringFiles
from certifuse.study.steps.training import EvaluateFusion
from certifuse.training.loop.resume import ResumeStore, Snapshot

CELL = Cell("resnet", "concatenation", "1.0", 0)
LOG, SCORES, TRAINED = (
    template.format(**CELL.names()) for template in (paths.CELL_LOG, paths.CELL_METRICS, paths.CELL_DIR)
)


@pytest.fixture(scope="module")
def scored(tiny, tmp_path_factory) -> Path:
    """The results directory of one cell: components, scores, gathered tables."""
    results = tmp_path_factory.mktemp("scored")
    run = tiny.train(results, files={"manifest": results / TRAINED / paths.MANIFEST_FILE, "log_file": results / LOG})
    step = EvaluateFusion(cell=CELL, evaluation=EvaluationSettings(), execution=run.step.execution)
    data = {"images": tiny.images, "splits": tiny.splits, "source": "test"}
    evaluate_fusion(step, EvaluateFusion.Files(**data, components=run.directory, output=results / SCORES))
    gathered(results)
    return results


def gathered(results: Path) -> None:
    gather(Gather(cells=(CELL,), trainings=()), GatheringFiles(results_dir=results, source="test"))


def of_directory(read: Callable[[Path], object]) -> Callable[[Path], object]:
    """A reader that takes the directory of the damaged file."""
    return lambda path: read(path.parent)


def regather(path: Path) -> None:
    gathered(next(above for above in path.parents if above.name == "copy"))


def gathered_table(path: Path) -> object:
    return read_frame(path, SCHEMAS["summary"])


def bitstream(path: Path) -> bytes:
    return read_bitstream(path.parent, json.loads((path.parent / CERTIFICATE_FILE).read_text())["bitstream_sha256"])


# Name: the fixture, the directory that is copied, the file in it, and the reader of the workflow.
KINDS = {
    "component": ("tiny", "expert_0", "expert_0_best.safetensors", load_component),
    "complete model": ("scored", TRAINED, paths.COMPLETE_FILE, load_complete),
    "image set": ("tiny", ".", "images.safetensors", load_image_set),
    "splits": ("tiny", ".", "splits.safetensors", load_splits),
    "predictions": ("scored", SCORES, paths.PREDICTIONS_FILE, load_predictions),
    "scores": ("scored", ".", f"{SCORES}/metrics.csv", regather),
    "training log": ("scored", ".", LOG, regather),
    "gathered table": (
        "scored",
        "metrics",
        Path(paths.SUMMARY).name,
        gathered_table,
    ),
    "manifest of a training": ("scored", TRAINED, paths.MANIFEST_FILE, read_manifest),
    "manifest of a step": ("scored", SCORES, paths.MANIFEST_FILE, read_manifest),
    "corpus manifest": ("language", "data/corpus", "manifest.json", of_directory(load_corpus)),
    "corpus tokens": ("language", "data/corpus", "train.bin", of_directory(load_corpus)),
    "corpus offsets": ("language", "data/corpus", "train_offsets.bin", of_directory(load_corpus)),
    "corpus validation": ("language", "data/corpus", "validation.bin", of_directory(load_corpus)),
    "SubLoRA weights": ("language", "sublora/d_40_learned_seed_7", paths.SUBLORA_WEIGHTS, load_vector),
    "certificate": ("certified", "subspace/levels_3", CERTIFICATE_FILE, of_directory(read_certificate)),
    "bitstream": ("certified", "subspace/levels_3", BITSTREAM_FILE, bitstream),
    "language certificate": (
        *("language", "sublora/d_40_learned_seed_7/levels_3", CERTIFICATE_FILE),
        of_directory(read_language_certificate),
    ),
    "language bitstream": ("language", "sublora/d_40_learned_seed_7/levels_3", BITSTREAM_FILE, bitstream),
}


def root_of(fixture: object) -> Path:
    """The directory of a study, whatever fixture it is."""
    study = getattr(fixture, "tiny", fixture)
    return study if isinstance(study, Path) else study.root


def sections(path: Path, whole: bytes) -> dict[str, range]:
    """The parts of a file: header, metadata and each tensor of safetensors; lines of text; sixteenths of the others."""
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(whole[:8], "little")
        header = json.loads(whole[8:end])
        metadata = whole.index(b"__metadata__")
        parts = {"length": range(8), "header": range(8, end), "metadata": range(metadata, end)}
        tensors = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
        return parts | {name: range(end + first, end + last) for name, (first, last) in tensors.items()}
    if path.suffix in (".json", ".csv"):
        ends = [0, *(place + 1 for place, byte in enumerate(whole) if byte == 10)]
        lines = [range(first, last) for first, last in pairwise(ends)]
        return {f"line {number}": line for number, line in enumerate(lines[:: max(1, len(lines) // 60)])}
    cuts = [part * len(whole) // 16 for part in range(17)]
    return {f"part {first}": range(first, last) for first, last in pairwise(cuts)}


def damages(path: Path, whole: bytes) -> Iterator[tuple[str, bytes]]:
    """What the file may be instead: cut at each 64th, or with one bit flipped."""
    for part in range(64):
        yield f"cut at {part}/64", whole[: part * len(whole) // 64]
    for name, places in sections(path, whole).items():
        for place in {places[0], places[len(places) // 2], places[-1]} if places else ():
            flipped = whole[place] ^ 1 << place % 7
            yield f"{name}: byte {place}", whole[:place] + bytes([flipped]) + whole[place + 1 :]
    yield "tail", whole[:-1] + bytes([whole[-1] ^ 32])


def complaint(read: Callable[[Path], object], path: Path) -> str:
    """What the reader says of the file; nothing where it notices nothing."""
    try:
        read(path)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_one_line_that_names_the_file(kind, request, tmp_path):
    fixture, directory, name, read = KINDS[kind]
    shutil.copytree(root_of(request.getfixturevalue(fixture)) / directory, tmp_path / "copy")
    path = tmp_path / "copy" / name
    whole = path.read_bytes()
    read(path)
    for what, damaged in damages(path, whole):
        path.write_bytes(damaged)
        said = complaint(read, path)
        assert path.name in said, what
        assert "\n" not in said, what
    path.write_bytes(whole)
    read(path)


def test_a_damaged_state_gives_way_to_the_one_before_with_a_warning(tmp_path, caplog):
    store = ResumeStore(tmp_path, "same")
    for number in (1.0, 2.0):
        tensors = {"state/weight": torch.full((3, 4), number), "best/weight": torch.zeros(5)}
        store.save(Snapshot(tensors, {"rows": [{"epoch": 1, "loss": number}], "best_epoch": 1}))
    whole = store.newest.read_bytes()
    for what, damaged in damages(store.newest, whole):
        store.newest.write_bytes(damaged)
        caplog.clear()
        assert store.load().progress["rows"][0]["loss"] == 1.0, what
        assert f"{store.newest}: damaged" in caplog.text
    store.newest.write_bytes(whole)
    assert store.load().progress["rows"][0]["loss"] == 2.0
