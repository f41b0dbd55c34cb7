"""What the rules ask for: files of the user's own, with one line where they are missing, and earlier components."""

from pathlib import Path
from typing import Any

import pytest
from study_config import DEFAULT, changed

from certifuse.study import targets
from certifuse.study.study import Study, read_study

CELL = {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": "0"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_of(stopped: Any) -> str:
    said = str(stopped.value.code)
    assert "\n" not in said
    return said


def test_images_of_the_user_are_asked_for_or_missed_in_one_line(here: Path) -> None:
    study = read_study(changed("data", {"source": "npz", "path": "images.npz"}))
    with pytest.raises(SystemExit) as stopped:
        targets.image_files(study)
    assert line_of(stopped).startswith("config: data.path: expected a file at images.npz, found none; set it, or ")
    (here / "images.npz").touch()
    assert targets.image_files(study) == ["images.npz"]
    assert targets.image_files(read_study(DEFAULT)) == []


def test_documents_of_the_user_too(here: Path) -> None:
    study = read_study(changed("sublora.corpus", {"source": "jsonl", "train": ["a.jsonl", "b.jsonl"]}))
    (here / "a.jsonl").touch()
    with pytest.raises(SystemExit) as stopped:
        targets.corpus_files(study)
    assert line_of(stopped).startswith("config: sublora.corpus: expected a file at b.jsonl, found none")
    (here / "b.jsonl").touch()
    assert targets.corpus_files(study) == ["a.jsonl", "b.jsonl"]
    assert targets.corpus_files(read_study(DEFAULT)) == []


# ---- earlier components --------------------------------------------------------------------------


def continuing(directory: str) -> Study:
    return read_study(changed("fusion.initial_components", directory))


def test_every_earlier_component_that_is_read_is_asked_for(here: Path) -> None:
    files = ("earlier/resnet_1.0/experts/e0.safetensors", "earlier/resnet_1.0/fusion/f.safetensors")
    for name in (*files, "earlier/resnet_1.0/notes.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    assert targets.initial_components(continuing("earlier/{architecture}_{lambda}"), CELL, "results") == sorted(files)


def test_without_any_earlier_component_there_is_one_line() -> None:
    with pytest.raises(SystemExit) as stopped:
        targets.initial_components(continuing("earlier/{seed}"), CELL, "results")
    assert line_of(stopped) == (
        "config: fusion.initial_components: expected components below experts, fusion, global in earlier/0, "
        "found none: name another directory"
    )


def test_of_a_directory_of_the_study_the_complete_file_is_asked_for() -> None:
    study = continuing("results/other/{fusion}")
    assert targets.initial_components(study, CELL, "results") == [
        "results/other/concatenation/complete_fusion_best.safetensors"
    ]
    assert targets.initial_components(read_study(DEFAULT), CELL, "results") == []
