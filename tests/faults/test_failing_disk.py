"""A disk that refuses: at every operation of every writer, and in the middle of a training on a disk that is full.

What was whole stays whole, no half of a file is left, and the refusal is one line with the bytes needed and free.
"""

import errno
import os
import re
import resource
import tempfile
from pathlib import Path

import pytest
import torch
from step_commands import step_command

from certifuse.base import tensors as tensor_files
from certifuse.base.errors import UserError
from certifuse.base.machine import DiskError, free_bytes
from certifuse.base.manifest import FORMAT, read_manifest, write_manifest
from certifuse.base.rows import read_rows, write_rows
from certifuse.base.tensors import read_sealed, write_sealed
from certifuse.certificates.sealed_files import write_bitstream
from certifuse.data.text.corpus import load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.models.components.files import load_component, save_component
from certifuse.steps import train_fusion as recipe
from certifuse.study.paths import BITSTREAM_FILE
from certifuse.study.settings.data import SplitSettings
from certifuse.study.steps.data import SplitImages
from certifuse.training.loop.resume import ResumeStore, Snapshot

REFUSED = re.compile(
    r"cannot be written \((.+)\): needs (\d+) bytes, (\d+) bytes are free: .*give the same command again"
)
OPERATIONS = (
    (tempfile, "mkstemp"),
    (Path, "write_bytes"),
    (tensor_files, "save_file"),
    (os, "fsync"),
    (Path, "replace"),
)


class Disk:
    """Counts the operations of the writers, and fails at one of them; a write is cut in half then."""

    def __init__(self, monkeypatch):
        self.done, self.fails_at, self.number = 0, None, 0
        for owner, name in OPERATIONS:
            monkeypatch.setattr(owner, name, self._counting(name, getattr(owner, name)))

    def _counting(self, name, operation):
        def counting(*arguments, **options):
            self.done += 1
            if self.done != self.fails_at:
                return operation(*arguments, **options)
            if name == "write_bytes":
                path, data = arguments
                operation(path, data[: len(data) // 2])
            raise OSError(self.number, os.strerror(self.number))

        return counting

    def count(self, work):
        self.done, self.fails_at = 0, None
        work()
        return self.done

    def fail(self, at, number):
        self.done, self.fails_at, self.number = 0, at, number


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def state(number):
    tensors = {"state/weight": torch.full((4, 5), float(number)), "best/weight": torch.zeros(3)}
    return Snapshot(tensors, {"rows": [{"epoch": 1, "loss": number}], "best_epoch": 1})


def save_state(path, number):
    store = ResumeStore(path.parent, path.name)
    store.save(state(number))


def load_state(path):
    return ResumeStore(path.parent, path.name).load().progress["rows"][0]["loss"]


SPEC = {"kind": "global_head", "input_dim": 2, "num_classes": 3}
WRITERS = {
    "state": (save_state, load_state),
    "component": (
        lambda path, number: save_component(path, SPEC, {"weight": torch.full((3, 2), float(number))}),
        lambda path: int(load_component(path).tensors["weight"][0, 0]),
    ),
    "sealed tensors": (
        lambda path, number: write_sealed(path, "a test", {"weight": torch.tensor([number])}, {}),
        lambda path: int(read_sealed(path, "a test")[0]["weight"]),
    ),
    "table": (
        lambda path, number: write_rows(path, [{"value": number}]),
        lambda path: int(read_rows(path)[0]["value"]),
    ),
    "manifest": (
        lambda path, number: write_manifest(path, {"format": FORMAT, "value": number}),
        lambda path: read_manifest(path)["value"],
    ),
    "bitstream": (
        lambda path, number: write_bitstream(path.parent, bytes([number])),
        lambda path: (path.parent / BITSTREAM_FILE).read_bytes()[0],
    ),
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("kind", WRITERS)
def test_a_refusal_at_any_operation_leaves_the_old_or_the_new_file_and_no_other(tmp_path, disk, kind, number):
    write, read = WRITERS[kind]
    path = tmp_path / "below" / "file"
    write(path, 1)
    operations = disk.count(lambda: write(path, 2))
    assert operations >= 4
    names = {other.name for other in path.parent.iterdir()}
    for at in range(1, operations + 1):
        write(path, 1)
        disk.fail(at, number)
        with pytest.raises(DiskError, match=REFUSED.pattern) as raised:
            write(path, 2)
        assert "\n" not in str(raised.value)
        disk.fail(None, 0)
        assert read(path) in (1, 2)
        assert {other.name for other in path.parent.iterdir()} <= names
        write(path, 3)
        assert read(path) == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_corpus_is_whole_or_refused(tmp_path, disk, number):
    directory = tmp_path / "corpus"

    def write():
        write_corpus([("train", "one"), ("validation", "another")], ByteTokeniser(), 1, {}, directory)

    for at in range(1, disk.count(write) + 1):
        disk.fail(at, number)
        with pytest.raises(DiskError, match=REFUSED.pattern):
            write()
        disk.fail(None, 0)
        assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
        if (directory / "manifest.json").exists():
            assert len(load_corpus(directory).train) == 1
        else:
            with pytest.raises(UserError, match="run the step that prepares it"):
                load_corpus(directory)
        write()


def test_what_the_library_of_tensors_cannot_write_is_told_likewise(tmp_path, monkeypatch):
    """A limit on the size of a file, which needs no rights: the Rust code is refused by the system itself."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DiskError, match=REFUSED.pattern) as raised:
            save_component(tmp_path / "head", SPEC, {"weight": torch.zeros(500)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert REFUSED.search(str(raised.value))[2] == "2000"
    assert list(tmp_path.iterdir()) == []


# ---- a training on a disk that fills up ----------------------------------------------------------

CHOICES = {"epochs": 3, "save_every": 1}
SAVING = {"files": {"save_interval_s": 0.0}}


def train(run):
    recipe.train_fusion(run.step, run.files)


@pytest.fixture
def saved(monkeypatch):
    """How many epochs the newest state holds that was stored without an error."""
    epochs, save = [0], ResumeStore.save

    def saving(store, snapshot):
        save(store, snapshot)
        epochs[0] = len(snapshot.progress["rows"])

    monkeypatch.setattr(ResumeStore, "save", saving)
    return epochs


def assert_whole(run, epochs):
    """The state of so many epochs loads, every component is whole, and there is no half of a file.

    It may be the state of one epoch more, whose error came when it had its name already.
    """
    files = [path for path in run.files.resume_dir.parent.rglob("*") if path.is_file()]
    assert [path for path in files if path.name.startswith(".")] == []
    states = [path for path in files if path.parent == run.files.resume_dir and path.suffix == ".safetensors"]
    fingerprints = {path.name.split(".")[0] for path in states}
    found = [ResumeStore(run.files.resume_dir, fingerprint).load() for fingerprint in fingerprints]
    assert all(len(snapshot.progress["rows"]) in (epochs, epochs + 1) for snapshot in found)
    assert found or not epochs
    for path in run.directory.rglob("*.safetensors"):
        load_component(path)


def test_a_training_goes_on_after_an_error_of_the_disk_wherever_it_came(tiny, tmp_path, disk, saved, caplog):
    whole = tiny.prepare(tmp_path / "whole", **SAVING, **CHOICES)
    operations = disk.count(lambda: train(whole))
    for at in range(1, operations, operations // 6):
        run = tiny.prepare(tmp_path / f"at_{at}", **SAVING, **CHOICES)
        disk.fail(at, errno.EIO)
        saved[0] = 0
        with pytest.raises(DiskError, match=r"Input/output error\): needs"):
            train(run)
        disk.fail(None, 0)
        assert_whole(run, saved[0])
        train(run)
        assert run.components == whole.components
        assert run.rows == whole.rows
    assert "damaged" not in caplog.text


def test_a_training_goes_on_after_the_disk_was_full(tiny, small_disk, tmp_path, monkeypatch, saved):
    """Another program fills a real file system behind the check for room, but for a little."""
    whole = tiny.train(tmp_path / "whole", **CHOICES)
    filler, refused = small_disk / "filler", []
    for left in range(0, 2**20, 48 * 2**10):
        run = tiny.prepare(small_disk / f"left_{left}", **SAVING, **CHOICES)
        filling = free_bytes(small_disk) - left
        saved[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(recipe, "require_training_room", lambda *_, size=filling: filler.write_bytes(bytes(size)))
            try:
                train(run)
            except DiskError as error:
                refused.append(str(error))
        filler.unlink()
        if len(refused) <= left // (48 * 2**10):
            break
        assert_whole(run, saved[0])
        train(run)
        assert run.components == whole.components
        small_disk.clear()
    assert len({line.split(": ")[0].rpartition("/")[2] for line in refused}) >= 3, "several files were refused"
    for line in refused:
        reason, needed, free = REFUSED.search(line).groups()
        assert reason == "No space left on device"
        assert int(needed) > 0
        assert int(free) < 2**20


def test_a_script_on_a_full_disk_says_one_line(tiny, tmp_path, start):
    """The limit on the size of a file stands for the disk, so that the first component is refused."""
    run = tiny.prepare(tmp_path, **CHOICES)
    limit = (4000, 4000)
    process = start(
        step_command(run.step, run.files), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    said = process.communicate(timeout=180)[1]
    assert process.returncode == 2
    assert "Traceback" not in said
    assert [bool(REFUSED.search(line)) for line in said.splitlines() if "error" in line] == [True]


def test_a_script_whose_log_cannot_be_written_still_has_its_status(tmp_path, start):
    """The log is on the same disk as the results."""
    files = SplitImages.Files(images=tmp_path / "absent", output=tmp_path / "o", summary=tmp_path / "s", source="test")
    with Path("/dev/full").open("w") as full:
        process = start(step_command(SplitImages(splits=SplitSettings()), files), stderr=full)
        assert process.wait(180) not in (0, None)
    assert list(tmp_path.iterdir()) == []
