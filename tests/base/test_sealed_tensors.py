"""Round trip to the bit, and a sweep of damages: every one is noticed and told in one line."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from certifuse.base.errors import UserError
from certifuse.base.tensors import read_sealed, write_sealed

KIND = "a test file"


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "deep" / "sealed.safetensors"
    tensors = {"pixels": torch.arange(60, dtype=torch.uint8).view(3, 4, 5), "none": torch.empty(0, dtype=torch.int64)}
    write_sealed(path, KIND, tensors, {"name": "números", "numbers": [1, 0.1]})
    return path


def refusal(path, kind=KIND):
    with pytest.raises(UserError) as caught:
        read_sealed(path, kind)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_round_trip(sealed):
    tensors, facts = read_sealed(sealed, KIND)
    assert torch.equal(tensors["pixels"], torch.arange(60, dtype=torch.uint8).view(3, 4, 5))
    assert tensors["none"].shape == (0,)
    assert facts == {"name": "números", "numbers": [1, 0.1]}
    assert [file.name for file in sealed.parent.iterdir()] == [sealed.name]


def test_a_view_is_stored_as_what_it_shows(tmp_path):
    table = torch.arange(6).view(2, 3)
    write_sealed(tmp_path / "view", KIND, {"columns": table.T}, {})
    assert torch.equal(read_sealed(tmp_path / "view", KIND)[0]["columns"], table.T)


def test_every_truncation_is_noticed(sealed):
    whole = sealed.read_bytes()
    for part in range(64):
        sealed.write_bytes(whole[: len(whole) * part // 64])
        assert "delete it" in refusal(sealed)


def test_every_flipped_bit_is_noticed(sealed):
    whole = sealed.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        sealed.write_bytes(damaged)
        refusal(sealed)


def test_absent_foreign_and_misplaced_files(sealed, tmp_path):
    assert "found none" in refusal(tmp_path / "absent")
    assert "found none" in refusal(tmp_path)
    (tmp_path / "text").write_text("hello, I am no tensor file")
    assert "no readable safetensors" in refusal(tmp_path / "text")
    save_file({"weights": torch.zeros(2)}, tmp_path / "foreign")
    assert "another program" in refusal(tmp_path / "foreign")
    assert "expected index splits, found a test file" in refusal(sealed, "index splits")


def test_the_changed_tensor_is_named(sealed):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:-1] + b"\xff")
    assert "'pixels'" in refusal(sealed)


def test_equal_content_gives_equal_bytes_in_every_process(tmp_path):
    # a hash seeded by the process orders what safetensors writes, so other processes must write too
    code = (
        "import pathlib, sys, torch; from certifuse.base.tensors import write_sealed; "
        "write_sealed(pathlib.Path(sys.argv[1]), 'kind', {'b': torch.ones(3), 'a': torch.zeros(2)}, {'x': 1, 'y': 2})"
    )
    for name in ("first", "second", "third"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
    assert len({(tmp_path / name).read_bytes() for name in ("first", "second", "third")}) == 1
