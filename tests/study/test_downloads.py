"""Permission to fetch what is absent reaches the step that reads the source, and is no reason to run anything again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from certifuse.base.errors import UserError
from certifuse.base.records import permitting
from certifuse.data.text import tokenisers
from certifuse.steps import prepare_corpus as corpus_recipe
from certifuse.steps import prepare_images as images_recipe
from certifuse.study.settings.data import CifarData, DigitsData
from certifuse.study.steps.data import PrepareCorpus, PrepareImages
from certifuse.study.study import Study, read_study

CONFIG = Path(__file__).resolve().parents[2] / "config"
FULL = yaml.safe_load((CONFIG / "sublora.yaml").read_text(encoding="utf-8"))
BLOCK = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}


def study(**download: bool) -> Study:
    """A study of an archive and of a corpus on the hub."""
    return read_study(
        {
            "name": "archives",
            "data": {"source": "cifar100", **download},
            "grid": [BLOCK],
            "sublora": {
                "corpus": {"source": "openwebtext", **download},
                "grid": [{"budgets": [64], "modes": ["uniform"], "seeds": [0]}],
            },
        }
    )


def permissions(study: Study) -> tuple[bool, bool]:
    """What the rules hand to the steps of images and of documents."""
    assert study.sublora is not None
    return study.may_download_images, study.sublora.corpus.may_download


def test_the_settings_of_the_steps_leave_it_out() -> None:
    permitted, refused = study(download=True), study(download=False)
    assert (permissions(permitted), permissions(refused)) == ((True, True), (False, False))
    images, corpus = PrepareImages.of(permitted, {}), PrepareCorpus.of(permitted, {})
    assert images.text == PrepareImages.of(refused, {}).text
    assert corpus.text == PrepareCorpus.of(refused, {}).text
    assert "download" not in images.text + corpus.text


@pytest.mark.parametrize("download", [True, False])
def test_the_steps_read_their_sources_with_what_they_are_given(
    download: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def read(source: Any) -> Any:
        asked.append(source)
        raise UserError("seen")

    monkeypatch.setattr(images_recipe, "load_source", read)
    monkeypatch.setattr(corpus_recipe, "read_documents", read)
    with pytest.raises(UserError, match="seen"):
        images_recipe.prepare_images(
            PrepareImages.of(study(download=True), {}),
            PrepareImages.Files(source="test", download=int(download), output=tmp_path / "images.safetensors"),
        )
    with pytest.raises(UserError, match="seen"):
        corpus_recipe.prepare_corpus(
            PrepareCorpus.of(study(download=True), {}),
            PrepareCorpus.Files(source="test", download=int(download), directory=tmp_path / "corpus"),
        )
    assert [source.download for source in asked] == [download, download]


def test_a_source_that_cannot_be_fetched_stays_as_it_is() -> None:
    digits = DigitsData(source="digits")
    assert permitting(digits, True) is digits
    asked = CifarData(source="cifar10", download=True)
    assert permitting(asked, False) is asked


def test_byte_pairs_are_fetched_where_it_is_permitted_and_before_any_document(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch() -> Any:
        asked.append("byte pairs")
        raise UserError("seen")

    monkeypatch.setattr(tokenisers, "_fetched_encoding", fetch)
    monkeypatch.setattr(corpus_recipe, "read_documents", lambda _: asked.append("documents"))
    step = PrepareCorpus.of(read_study(FULL), {})
    permitted, refused = (
        PrepareCorpus.Files(source="test", download=download, directory=tmp_path / "corpus") for download in (1, 0)
    )
    with pytest.raises(UserError, match="seen"):
        corpus_recipe.prepare_corpus(step, permitted)
    with pytest.raises(UserError, match="without download: true"):
        corpus_recipe.prepare_corpus(step, refused)
    assert asked == ["byte pairs"]
