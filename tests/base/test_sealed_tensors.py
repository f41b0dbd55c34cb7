"""Round trip to the bit, and a sweep of damages: every one is noticed and told in one line."""

import hashlib
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensor, flat, nested, read_facts, read_sealed, write_sealed

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


def test_tensors_that_share_memory_are_stored_apart(tmp_path):
    whole = torch.arange(6)
    write_sealed(tmp_path / "parts", KIND, {"whole": whole, "half": whole[:3], "again": whole}, {})
    tensors, _ = read_sealed(tmp_path / "parts", KIND)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        **{"whole": [0, 1, 2, 3, 4, 5], "half": [0, 1, 2], "again": [0, 1, 2, 3, 4, 5]}
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (5,), (2, 3)])
def test_a_digest_is_that_of_dtype_shape_and_bytes(dtype, shape):
    tensor = (torch.rand(shape) * 9).to(dtype)
    written = f"{dtype}{list(shape)}\n".encode() + tensor.numpy().tobytes()
    assert digest_tensor(tensor) == hashlib.sha256(written).hexdigest()


def test_bfloat16_is_stored_and_digested_to_the_bit(tmp_path):
    written = torch.tensor([1.0, -2.5, 3e38], dtype=torch.bfloat16)
    write_sealed(tmp_path / "half", KIND, {"weight": written}, {})
    read = read_sealed(tmp_path / "half", KIND)[0]["weight"]
    assert read.dtype == torch.bfloat16
    assert torch.equal(read, written)
    # 1.0 is 0x3f80, -2.5 is 0xc020 and 3e38 rounds to 0x7f62, lowest byte first
    expected = hashlib.sha256(b"torch.bfloat16[3]\n" + bytes.fromhex("803f20c0627f")).hexdigest()
    assert digest_tensor(written) == expected


def test_facts_are_read_without_the_tensors(sealed):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:-1] + b"\xff")
    assert read_facts(sealed, KIND) == {"name": "números", "numbers": [1, 0.1]}


def test_nested_is_the_inverse_of_flat():
    parts = {"network": {"head/weight": torch.zeros(2), "bias": torch.ones(1)}, "optimiser": {"0/step": torch.ones(())}}
    assert list(flat(parts)) == ["network/head/weight", "network/bias", "optimiser/0/step"]
    assert nested(flat(parts)) == parts
    assert list(nested(flat(parts), ["empty", "optimiser"])) == ["empty", "optimiser", "network"]
    assert nested({}, ["empty"]) == {"empty": {}}


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
    assert "found no file" in refusal(tmp_path / "absent")
    assert "found a directory" in refusal(tmp_path)
    (tmp_path / "text").write_text("hello, I am no tensor file")
    assert "found a damaged file" in refusal(tmp_path / "text")
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
