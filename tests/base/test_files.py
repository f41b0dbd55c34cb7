"""Files that are whole or absent, whatever happens to the process that writes them."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from certifuse.base.files import write_atomically, write_json, write_text
from certifuse.base.machine import DiskError


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "value.txt"
    write_text(target, "old")

    def half(temporary):
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match=r"No space left on device\): needs 3 bytes, \d+ bytes are free"):
        write_atomically(target, half, 3)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_readers_see_all_or_nothing(tmp_path):
    """While the new content is being written, the path still holds the old one."""
    target = tmp_path / "below" / "value.txt"
    write_text(target, "old")
    seen = []

    def write(temporary):
        temporary.write_text("new")
        seen.append((target.read_text(), temporary.parent))

    write_atomically(target, write, 3)
    assert seen == [("old", target.parent)]  # the same directory: a rename cannot cross file systems
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_file_and_directory_reach_the_disk_before_and_after_the_rename(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: events.append("fsync") or fsync(handle))
    monkeypatch.setattr(Path, "replace", lambda self, target: events.append("replace") or replace(self, target))
    write_text(tmp_path / "value.txt", "new")
    assert events == ["fsync", "replace", "fsync"]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from certifuse.base.files import write_atomically
def write(temporary):
    temporary.write_text("hal")
    print(temporary, flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(Path(sys.argv[1]), write, 4)
"""


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    target, other = tmp_path / "value.txt", tmp_path / ".value.txt.in.use"
    other.touch()
    command = [sys.executable, "-c", KILLED_WRITER, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        half = Path(writer.stdout.readline().strip())
        write_text(target, "mine")
        assert half.read_text() == "hal", "somebody else is writing it"
        writer.communicate("x")
    assert writer.returncode == -signal.SIGKILL
    assert half.exists()
    write_text(tmp_path / "value.tx", "another file")
    assert half.exists()
    write_text(target, "mine")
    assert sorted(tmp_path.iterdir()) == sorted([target, other, tmp_path / "value.tx"])


def test_json_files_are_sorted_and_end_in_a_newline(tmp_path):
    write_json(tmp_path / "value.json", {"b": 1, "a": "ä"})
    assert (tmp_path / "value.json").read_text() == '{\n  "a": "\\u00e4",\n  "b": 1\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_number_for_what_is_not_finite(value, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "value.json", {"loss": value})
    assert not list(tmp_path.iterdir())
