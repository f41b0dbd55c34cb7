"""What readers open, what they take for JSON, and how a message shows what it quotes."""

import os
import socket
from pathlib import Path

import pytest

from certifuse.base.digests import digest_file
from certifuse.base.errors import LONGEST_LINE, UserError, printable
from certifuse.base.files import DEEPEST_JSON, UnfitFileError, open_file, parse_json, read_bytes, read_json
from certifuse.base.rows import read_rows


def test_a_regular_file_of_at_most_the_size_is_read_also_behind_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link", 5) == b"12345"
    with pytest.raises(UnfitFileError, match="file: expected a file of at most 4 bytes, found one of 5"):
        read_bytes(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "absent", 5)
    assert read_bytes(Path("/proc/self/status"), 5) == b""  # it states no size


@pytest.mark.parametrize("kind", ["a directory", "a named pipe", "a device", "a socket"])
def test_anything_else_is_refused_by_every_reader_without_waiting(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a directory":
        path.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(path))
        server.close()
    for read in (open_file, digest_file, read_json, read_rows):
        with pytest.raises(UnfitFileError, match=rf"x: expected a regular file, found {kind}"):
            read(path)


def test_json_is_finite_and_not_deep():
    assert parse_json(b'{"a": [1, 2.5, null, "x"]}') == {"a": [1, 2.5, None, "x"]}
    deep = "[" * DEEPEST_JSON + "]" * DEEPEST_JSON
    assert parse_json(deep)
    for text in (f"[{deep}]", "[" * 100_000, "[" * 5000 + "]" * 5000, "NaN", "[-Infinity]", "1e999", "9" * 5000, "{"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_json(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, März, 結果, 😀", "plain, März, 結果, 😀"),
        ("\x1b[2K\rverified", r"\u001b[2K\u000dverified"),
        ("a\nb\tc\x7f\x9b", r"a\u000ab\u0009c\u007f\u009b"),
        ("\u202edeifirev\u2028\u200b\ufeff", r"\u202edeifirev\u2028\u200b\ufeff"),
        ("\ud800\U000e0001", r"\ud800\U000e0001"),
    ],
)
def test_a_message_cannot_steer_a_terminal(text, shown):
    assert printable(text) == shown
    assert str(UserError(text)) == shown


def test_a_message_has_the_lines_that_it_was_given_and_no_flood():
    error = UserError("first\nverified", "x" * 10**6)
    assert str(error).split("\n")[0] == r"first\u000averified"
    assert len(str(error).split("\n")[1]) == LONGEST_LINE
