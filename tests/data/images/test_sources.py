"""Each source by value, and each way in which its files can be wrong."""

import hashlib
import importlib.util
import io
import math
import pickle
import runpy
import tarfile
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.base.registry import implementations
from certifuse.data.images.image_set import channel_statistics, load_image_set
from certifuse.data.images.sources.registry import PACKAGE, load_source, source_settings
from certifuse.data.images.torchvision_import import import_torchvision_datasets
from certifuse.steps.prepare_images import prepare_images
from certifuse.study.settings.data import CifarData, DataSettings, DigitsData, NpzData
from certifuse.study.steps.data import PrepareImages

SOURCES = get_args(get_args(DataSettings)[0])
SHARED_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def refusal(settings):
    with pytest.raises(UserError) as caught:
        load_source(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_source_of_the_settings_is_registered():
    assert implementations(PACKAGE, "load") == ("cifar", "digits", "npz")
    named = [name for model in SOURCES for name in get_args(model.model_fields["source"].annotation)]
    assert named == ["digits", "cifar10", "cifar100", "npz"]
    for name in named:
        assert source_settings({"source": name, **({"path": "x.npz"} if name == "npz" else {})}).source == name


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"source": "digit"}, "data.source: expected one of cifar, digits, npz, found 'digit'; did you mean 'digits'?"),
        ({"source": "arrays"}, "data.source: expected one of cifar, digits, npz, found 'arrays'"),
        ({}, "data.source: expected one of cifar, digits, npz, found 'None'"),
        ({"source": "npz"}, "data: path: this key is required"),
    ],
)
def test_sections_that_no_source_reads_are_one_line(data, problem):
    with pytest.raises(UserError) as caught:
        source_settings(data)
    assert str(caught.value) == problem


# ---- digits --------------------------------------------------------------------------------------


def test_digits_are_all_there_once():
    from sklearn.datasets import load_digits

    original = load_digits()
    digits = load_source(DigitsData(source="digits"))
    assert digits.train_images.shape == (1258, 1, 8, 8)
    assert digits.test_images.shape == (539, 1, 8, 8)
    images = torch.cat([digits.train_images, digits.test_images]).reshape(1797, 64)
    labels = torch.cat([digits.train_labels, digits.test_labels])
    expected = np.column_stack([np.floor(original.data * 255 / 16 + 0.5), original.target])
    assert sorted(map(tuple, np.column_stack([images, labels]))) == sorted(map(tuple, expected))


def test_the_test_part_of_digits_is_stratified_and_seeded():
    def labels(seed):
        return load_source(DigitsData(source="digits", seed=seed))

    first, again, other = labels(0), labels(0), labels(1)
    everyone = torch.cat([first.train_labels, first.test_labels]).bincount()
    assert ((first.test_labels.bincount() - everyone * 539 / 1797).abs() < 1).all()
    assert first.digest == again.digest != other.digest


def test_digits_without_a_test_part_are_refused():
    assert "test_fraction 0.0001" in refusal(DigitsData(source="digits", test_fraction=0.0001))


# ---- CIFAR ---------------------------------------------------------------------------------------


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """An archive in the official format with 4 + 2 images, whose digests torchvision is told to expect."""
    official = import_torchvision_datasets().CIFAR100
    generator = np.random.default_rng(0)
    content = {
        "train": {"data": generator.integers(0, 256, (4, 3072), dtype=np.uint8), "fine_labels": [0, 1, 1, 0]},
        "test": {"data": generator.integers(0, 256, (2, 3072), dtype=np.uint8), "fine_labels": [1, 0]},
        "meta": {"fine_label_names": ["apple", "bear"]},
    }
    files = {name: pickle.dumps(value) for name, value in content.items()}
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{official.base_folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (tmp_path / official.filename).write_bytes(buffer.getvalue())
    monkeypatch.setattr(official, "train_list", [["train", md5["train"]]])
    monkeypatch.setattr(official, "test_list", [["test", md5["test"]]])
    monkeypatch.setattr(official, "meta", {**official.meta, "md5": md5["meta"]})
    monkeypatch.setattr(official, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())
    return tmp_path, content


def test_an_archive_is_unpacked_without_download(small_cifar):
    root, content = small_cifar
    images = load_source(CifarData(source="cifar100", root=str(root)))
    assert np.array_equal(images.train_images.numpy().reshape(4, 3072), content["train"]["data"])
    assert np.array_equal(images.test_images.numpy().reshape(2, 3072), content["test"]["data"])
    assert images.train_labels.tolist() == [0, 1, 1, 0]
    assert (images.num_classes, images.name, images.class_names) == (2, "cifar100", ("apple", "bear"))
    assert images.train_images.is_contiguous()


def test_an_archive_as_npz_has_the_same_images(small_cifar, capsys):
    root, _ = small_cifar
    script, target = Path(__file__).resolve().parents[3] / "workflow" / "cifar_to_npz.py", root / "deep" / "images.npz"
    convert = runpy.run_path(str(script))["main"]
    convert(["cifar100", str(target), "--root", str(root)])
    assert capsys.readouterr().out == f"{target}: 6 images\n"
    written = load_source(NpzData(source="npz", path=str(target)))
    official = load_source(CifarData(source="cifar100", root=str(root)))
    for field in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(written, field), getattr(official, field))
    with pytest.raises(SystemExit, match=r"error: .*put https"):
        convert(["cifar100", str(target), "--root", str(root / "elsewhere")])


def test_a_changed_file_is_refused_before_it_is_unpickled(small_cifar):
    root, _ = small_cifar
    load_source(CifarData(source="cifar100", root=str(root)))
    (root / "cifar-100-python.tar.gz").unlink()
    target = root / "cifar-100-python" / "train"
    target.write_bytes(b"cos\nsystem\n" + target.read_bytes())
    text = refusal(CifarData(source="cifar100", root=str(root)))
    assert "differ from the official ones" in text
    assert "data.download: true" in text


def test_a_damaged_archive_is_not_unpacked(small_cifar):
    root, _ = small_cifar
    archive = root / "cifar-100-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1])
    assert "found nothing" in refusal(CifarData(source="cifar100", root=str(root)))


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_an_absent_archive_says_what_to_do(source, tmp_path):
    text = refusal(CifarData(source=source, root=str(tmp_path)))
    for part in (str(tmp_path), "found nothing", "data.download: true", ".tar.gz", "source: npz"):
        assert part in text


def test_a_failed_download_is_one_line(tmp_path, monkeypatch):
    official = import_torchvision_datasets().CIFAR10
    monkeypatch.setattr(official, "url", (tmp_path / "nowhere.tar.gz").as_uri())
    assert "could not be fetched" in refusal(CifarData(source="cifar10", root=str(tmp_path), download=True))


# ---- npz -----------------------------------------------------------------------------------------


def arrays(**changes):
    generator = np.random.default_rng(0)
    made = {
        "train_images": generator.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "train_labels": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
        "test_images": generator.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8),
        "test_labels": np.array([2, 0], dtype=np.int32),
    }
    return {name: array for name, array in (made | changes).items() if array is not None}


def npz(tmp_path, **changes):
    path = tmp_path / "toy.npz"
    np.savez(path, **arrays(**changes))
    return NpzData(source="npz", path=str(path))


def test_npz_through_the_recipe(tmp_path):
    files = PrepareImages.Files(source="test", output=tmp_path / "images.safetensors")
    prepare_images(PrepareImages(data=npz(tmp_path).plain()), files)
    images = load_image_set(tmp_path / "images.safetensors")
    assert np.array_equal(images.train_images.numpy(), arrays()["train_images"].transpose(0, 3, 1, 2))
    assert np.array_equal(images.test_images.numpy(), arrays()["test_images"].transpose(0, 3, 1, 2))
    assert images.test_labels.tolist() == [2, 0]
    assert (images.num_classes, images.name) == (3, "toy")


def test_grey_images_get_one_channel(tmp_path):
    grey = {f"{part}_images": arrays()[f"{part}_images"][..., 0] for part in ("train", "test")}
    images = load_source(npz(tmp_path, **grey))
    assert images.train_images.shape == (6, 1, 5, 4)
    assert np.array_equal(images.train_images[:, 0].numpy(), grey["train_images"])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"test_labels": None}, "expected array 'test_labels', found ['test_images', 'train_images', 'train_labels']"),
        ({"train_images": np.zeros((6, 5, 4, 3), dtype=np.float32)}, "train_images: expected uint8"),
        ({"train_images": np.zeros((6, 20), dtype=np.uint8)}, "found uint8 (6, 20)"),
        ({"train_images": np.zeros((6, 1, 5, 4, 3), dtype=np.uint8)}, "found uint8 (6, 1, 5, 4, 3)"),
        ({"train_labels": np.zeros(6)}, "train_labels: expected integers (N,), found float64 (6,)"),
        ({"train_labels": np.zeros((6, 1), dtype=np.int64)}, "found int64 (6, 1)"),
        ({"train_labels": np.array([0, 1, 2], dtype=np.int64)}, "train_labels: expected int64 (6,)"),
        ({"train_labels": np.array([0, 1, 3, 0, 1, 3])}, "train_labels: expected classes 0..K-1, found none of 2"),
        ({"train_labels": np.array([1, 2, 3, 1, 2, 3])}, "found none of 0"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, -2])}, "found -2..2"),
        ({"train_labels": np.array([0, 1, 2, 0, 1, 10**12])}, "found none of 3"),
        ({"test_labels": np.array([3, 0])}, "test_labels: expected classes 0..2, found 0..3"),
        ({"test_labels": np.array(["a", "b"])}, "test_labels: expected integers"),
        ({"test_images": np.zeros((2, 5, 5, 3), dtype=np.uint8)}, "test_images: expected (C, H, W) (3, 5, 4)"),
        (
            {"train_images": np.zeros((0, 5, 4, 3), dtype=np.uint8), "train_labels": np.zeros(0, dtype=np.int64)},
            "train_images: expected non-empty",
        ),
        ({"train_labels": np.array([0, "x", None], dtype=object)}, "train_labels: expected a plain array"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes, complaint):
    settings = npz(tmp_path, **changes)
    text = refusal(settings)
    assert text.startswith(settings.path)
    assert complaint in text


def test_what_is_no_npz_is_refused(tmp_path):
    assert "found none" in refusal(NpzData(source="npz", path=str(tmp_path / "absent.npz")))
    assert "found a directory" in refusal(NpzData(source="npz", path=str(tmp_path)))
    settings = NpzData(source="npz", path=str(tmp_path / "other.npz"))
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (b"", b"hello", (tmp_path / "one.npy").read_bytes(), pickle.dumps({"train_images": 1})):
        Path(settings.path).write_bytes(content)
        assert "expected an .npz archive" in refusal(settings)
    with zipfile.ZipFile(settings.path, "w") as archive:
        archive.writestr("train_images.txt", "hello")
    assert "expected array 'train_images'" in refusal(settings)


@pytest.mark.parametrize("shape", [(10**30,), (2**31, 2**31, 2), (-6, -1), (7,), (2**40,), ()])
def test_an_array_of_other_size_than_its_header_says_is_refused_before_it_is_made(tmp_path, shape):
    settings = npz(tmp_path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    np.savez_compressed(settings.path, **arrays(train_labels=None))
    with zipfile.ZipFile(settings.path, "a") as archive:
        archive.writestr("train_labels.npy", header.getvalue() + bytes(6))
    text = refusal(settings)
    assert text.startswith(f"{settings.path}: train_labels: expected a plain array, found unreadable data (")
    assert (f"its header describes {math.prod(shape)} bytes, 6 are stored" in text) == (math.prod(shape) != 6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_gives_a_one_line_error_or_the_same_images(tmp_path, save):
    settings = npz(tmp_path)
    path = Path(settings.path)
    save(path, **arrays())
    whole, digest = path.read_bytes(), load_source(settings).digest
    damages = [whole[: len(whole) * part // 64] for part in range(64)]
    for position in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        damages.append(bytes(flipped))
    complaints = [complaint for damaged in damages if (complaint := complaint_about(damaged, settings, digest))]
    assert len(complaints) > len(damages) / 2
    assert not any("\n" in complaint for complaint in complaints)


def complaint_about(damaged, settings, digest):
    """What the loader says; nothing if it reads the undamaged images, because zip ignores that bit (a time stamp)."""
    Path(settings.path).write_bytes(damaged)
    try:
        assert load_source(settings).digest == digest
    except UserError as error:
        return str(error)


@pytest.mark.slow
def test_real_cifar100_has_the_published_channel_statistics(tmp_path):
    script = SHARED_DATA / "unpack_cifar100.py"
    if not script.is_file():
        pytest.skip(f"no CIFAR-100 at {script.parent}")
    spec = importlib.util.spec_from_file_location("unpack_cifar100", script)
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    unpack.main(str(tmp_path / "cifar100.npz"))
    images = load_source(NpzData(source="npz", path=str(tmp_path / "cifar100.npz")))
    assert images.train_images.shape == (50_000, 3, 32, 32)
    assert images.train_labels.bincount().tolist() == [500] * 100
    assert images.test_labels.bincount().tolist() == [100] * 100
    mean, std = channel_statistics(images.train_images)
    assert mean == pytest.approx((0.5070751592, 0.4865488733, 0.4409178434), abs=1e-10)
    assert std == pytest.approx((0.2673342858, 0.2564384629, 0.2761504713), abs=1e-9)
