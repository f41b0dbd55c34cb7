"""Documents from every source to a prepared corpus and back, by value; what was dropped; every change is noticed."""

import gzip
import inspect
import json
import lzma
import os
import re
import runpy
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from certifuse.base.errors import UserError
from certifuse.base.manifest import read_manifest
from certifuse.base.registry import implementations
from certifuse.data.text import corpus as corpus_module
from certifuse.data.text.corpus import check_distinct, load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.sources.python_docs import documentation_strings, python_documents
from certifuse.data.text.sources.registry import PACKAGE, read_documents, source_settings
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.steps.prepare_corpus import prepare_corpus
from certifuse.study.settings.corpora import CorpusSettings, JsonlCorpus, OpenWebTextCorpus, PythonDocsCorpus
from certifuse.study.steps.data import PrepareCorpus

SOURCES = get_args(get_args(CorpusSettings)[0])
SCRIPT = Path(__file__).resolve().parents[3] / "workflow" / "scripts" / "prepare_corpus.py"
TEXTS = [f"document {number} é" for number in range(300)]


def write_lines(path, texts):
    content = "".join(json.dumps({"text": text, "other": 1}) + "\n" for text in texts).encode()
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opened(path, "wb") as stream:
        stream.write(content)
    return str(path)


def texts_of(documents):
    return [ByteTokeniser().decode(documents.document(index)) for index in range(len(documents))]


def prepared(directory, train, validation=None, **settings):
    """The corpus made from lists of texts."""
    directory.mkdir(exist_ok=True)
    files = {"train": (write_lines(directory / "train.jsonl", train),)}
    if validation is not None:
        files["validation"] = (write_lines(directory / "validation.jsonl", validation),)
    step = PrepareCorpus(corpus=JsonlCorpus(source="jsonl", **files, **settings).plain())
    prepare_corpus(step, PrepareCorpus.Files(source="test", directory=directory / "corpus"))
    return load_corpus(directory / "corpus")


def counts(corpus, part):
    return {name: number for name, number in corpus.manifest["parts"][part].items() if name != "files"}


def refusal(action, *arguments, **options):
    with pytest.raises(UserError) as caught:
        action(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the prepared form ---------------------------------------------------------------------------


def test_documents_come_back_and_what_is_dropped_is_counted(tmp_path):
    train = ["first", "", "ab", "first", "sécond", "first"]
    corpus = prepared(tmp_path, train, ["third", "first", "third", "ab", "sécond", "b"], min_tokens=2)
    assert texts_of(corpus.train) == ["first", "ab", "sécond"]
    assert texts_of(corpus.validation) == ["third"]
    assert corpus.train.lengths.tolist() == [5, 2, 7]
    assert bytes(corpus.train.tokens) == "firstabsécond".encode()
    assert corpus.train.offsets.tolist() == [0, 5, 7, 14]
    names = ("read", "documents", "too_short", "duplicates", "duplicates_of_other_part", "tokens", "text_bytes")
    assert counts(corpus, "train") == dict(zip(names, (6, 3, 1, 2, 0, 14, 14), strict=True))
    assert counts(corpus, "validation") == dict(zip(names, (6, 1, 1, 1, 3, 5, 5), strict=True))
    assert (corpus.vocabulary.tokenizer, corpus.vocabulary.size, corpus.vocabulary.start_token) == ("bytes", 256, 256)
    with pytest.raises(IndexError):
        corpus.train.document(3)
    with pytest.raises(ValueError, match="read-only"):
        corpus.train.tokens[0] = 1


class WideTokeniser:
    """Code points plus 40,000, to see two bytes a token."""

    vocabulary = corpus_module.Vocabulary(tokenizer="wide", size=50257, start_token=50256)

    def encode(self, text):
        return np.array([40000 + ord(character) for character in text], dtype=self.vocabulary.dtype)

    def decode(self, tokens_T):
        return "".join(chr(token - 40000) for token in tokens_T)


def test_large_vocabularies_take_two_little_endian_bytes(tmp_path):
    documents = [("train", "ab"), ("validation", "é")]
    write_corpus(documents, WideTokeniser(), 1, {}, tmp_path / "corpus")
    corpus = load_corpus(tmp_path / "corpus")
    assert corpus.train.tokens.tolist() == [40097, 40098]
    assert (tmp_path / "corpus" / "train.bin").read_bytes() == (40097 + (40098 << 16)).to_bytes(4, "little")
    assert counts(corpus, "validation")["text_bytes"] == 2
    assert (tmp_path / "corpus" / "train_offsets.bin").read_bytes() == bytes(8) + (2).to_bytes(8, "little")


def test_equal_documents_give_equal_bytes_and_others_another_digest(tmp_path):
    first, again = (prepared(tmp_path / name, TEXTS[:9], TEXTS[9:12]) for name in ("a", "b"))
    other = prepared(tmp_path / "c", TEXTS[:9], TEXTS[9:11] + TEXTS[12:13])
    for name in ("train.bin", "train_offsets.bin", "validation.bin", "validation_offsets.bin"):
        paths = [tmp_path / run / "corpus" / name for run in ("a", "b")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert first.digest == again.digest != other.digest
    assert first.train.digest == other.train.digest != first.validation.digest != other.validation.digest


def test_every_change_of_a_file_is_noticed(tmp_path):
    prepared(tmp_path, TEXTS[:3], TEXTS[3:5])
    directory = tmp_path / "corpus"
    for path in sorted(directory.iterdir()):
        of_the_run = path.name == "prepare_corpus_manifest.json"
        load, place = (read_manifest, path) if of_the_run else (load_corpus, directory)
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]):
            path.write_bytes(damaged)
            if path.suffix == ".json" and damaged == whole[:-1]:
                load(place)  # the line feed at the end says nothing
            else:
                assert str(path) in refusal(load, place)
        path.unlink()
        assert str(path) in refusal(load, place)
        path.write_bytes(whole)
    manifest = json.loads((directory / "manifest.json").read_text())
    for change in ({"format": 2}, {"vocabulary": manifest["vocabulary"] | {"size": 255}}, {"parts": {}}):
        (directory / "manifest.json").write_text(json.dumps(manifest | change))
        assert "differs from its digest" in refusal(load_corpus, directory)
    (directory / "manifest.json").write_text("[]")
    assert "found another file" in refusal(load_corpus, directory)


def test_a_corpus_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    before = prepared(tmp_path, TEXTS[:9], TEXTS[9:12])

    def interrupted():
        yield from (("train", text) for text in TEXTS[20:30])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(interrupted(), ByteTokeniser(), 1, {}, tmp_path / "corpus")
    assert load_corpus(tmp_path / "corpus").digest == before.digest

    moves, move = [], Path.replace

    def replace(path, target):
        moves.append(path.name)
        if len(moves) == 3:
            raise KeyboardInterrupt
        move(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    documents = [("train", "new"), ("validation", "newer")]
    with pytest.raises(KeyboardInterrupt):
        write_corpus(documents, ByteTokeniser(), 1, {}, tmp_path / "corpus")
    monkeypatch.undo()
    assert "found none; run the step" in refusal(load_corpus, tmp_path / "corpus")
    write_corpus(documents, ByteTokeniser(), 1, {}, tmp_path / "corpus")
    assert texts_of(load_corpus(tmp_path / "corpus").train) == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "train.jsonl", "validation.jsonl"]


def test_parts_with_a_common_document_are_found(tmp_path):
    corpus, other = (prepared(tmp_path / str(n), TEXTS[:9], TEXTS[9 + n : 12 + n]) for n in range(2))
    check_distinct(corpus)
    vars(corpus)["validation"] = other.train
    assert "9 copies among 9 training documents; the first: training document 0 is validation" in refusal(
        check_distinct, corpus
    )


def test_a_part_without_documents_is_refused(tmp_path):
    text = refusal(prepared, tmp_path, ["a", "b"], ["a", "b", "", "b"])
    assert "at least one validation document, found none among 4 read (1 too short, 3 kept before)" in text
    assert not (tmp_path / "corpus").exists()


# ---- drawing validation --------------------------------------------------------------------------


def test_validation_is_drawn_with_a_seed(tmp_path):
    def split(name, **settings):
        corpus = prepared(tmp_path / name, TEXTS, **settings)
        return texts_of(corpus.train), texts_of(corpus.validation)

    train, validation = split("a", validation_fraction=0.3)
    assert sorted(train + validation) == sorted(TEXTS)
    assert train == [text for text in TEXTS if text not in validation]
    assert 60 < len(validation) < 120  # binomial: 90, standard deviation 7.9
    assert split("b", validation_fraction=0.3) == (train, validation)
    assert split("c", validation_fraction=0.3, validation_seed=1) != (train, validation)
    first_train, first_validation = split("d", validation_fraction=0.3, max_documents=200)
    assert (first_train, first_validation) == (train[: len(first_train)], validation[: len(first_validation)])
    assert len(first_train) + len(first_validation) == 200


def test_the_draw_does_not_look_at_the_texts(tmp_path):
    def parts(texts):
        settings = JsonlCorpus(source="jsonl", train=(write_lines(tmp_path / "texts.jsonl", texts),))
        return [part for part, _ in read_documents(settings)]

    assert parts(TEXTS) == parts(TEXTS[::-1])
    assert len(set(parts(TEXTS))) == 2


# ---- JSON lines ----------------------------------------------------------------------------------


def jsonl(**settings):
    return list(read_documents(JsonlCorpus(source="jsonl", **settings)))


def test_compressed_files_are_the_same_documents(tmp_path):
    files = [write_lines(tmp_path / f"{i}.jsonl{suffix}", TEXTS[i::3]) for i, suffix in enumerate(("", ".gz", ".xz"))]
    expected = TEXTS[0::3] + TEXTS[1::3] + TEXTS[2::3]
    assert jsonl(train=tuple(files[:2]), validation=(files[2],)) == [
        ("validation" if number >= 200 else "train", text) for number, text in enumerate(expected)
    ]
    capped = jsonl(train=tuple(files[:2]), validation=(files[2],), max_documents=120)
    assert [text for _, text in capped] == expected[:120] + expected[200:]
    assert JsonlCorpus(source="jsonl", train=tuple(files[:2]), validation=(files[2],)).files == tuple(files)


def test_other_keys_and_blank_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "one"}\n\n  \r\n{"body": "two\\n", "text": 3}')
    documents = jsonl(train=(str(path),), validation=(str(path),), text_key="body", max_documents=5)
    assert documents == [(part, text) for part in ("train", "validation") for text in ("one", "two\n")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "a"', "found no JSON"),
        ("[" * 100_000, "found no JSON"),
        (b"\xff\xfe\xff", "found no JSON"),
        ('["text"]', "found list"),
        ('{"texts": "a", "b": 1}', "found ['b', 'texts']"),
        ('{"text": null}', "found ['text']"),
        (r'{"text": "a\ud800"}', "half of a surrogate pair"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, found):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "good"}\n' + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    text = refusal(jsonl, train=(str(path),))
    assert text.startswith(f"{path}: line 2: expected ")
    assert found in text


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_damaged_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.jsonl{suffix}"
    write_lines(path, TEXTS)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"\x00" * 40, whole[:30] + bytes(20) + whole[50:]):
        path.write_bytes(damaged)
        assert refusal(jsonl, train=(str(path),)).startswith(f"{path}: ")
    assert "found none" in refusal(jsonl, train=(str(tmp_path / f"absent{suffix}"),))


# ---- the embedded documents ----------------------------------------------------------------------


def test_documentation_strings_are_read_and_nothing_is_imported(tmp_path):
    modules = {
        "b/module.py": 'raise SystemExit\nclass C:\n    """Class.\n\n        More.\n    """\n    async def f(self):\n'
        '        "Invalid \\escape."\n',
        "a.py": '"""Module a."""\nx = 1\n"""Not a documentation string."""\ndef g():\n    """G."""\n',
        "b/test/t.py": '"""A test."""\n',
        "site-packages/p.py": '"""Another package."""\n',
        "template.py": '"""No Python: """ {{ name }}\n',
        "notes.txt": '"""No module."""\n',
    }
    for name, text in modules.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    expected = ["Module a.", "G.", "Class.\n\nMore.", "Invalid \\escape."]
    assert list(documentation_strings(tmp_path)) == expected


def test_the_embedded_documents_are_those_of_this_python(monkeypatch):
    from pydoc_data.topics import topics

    assert Path(json.__file__).is_relative_to(sysconfig.get_path("stdlib"))
    monkeypatch.setattr(sysconfig, "get_path", {"stdlib": Path(json.__file__).parent}.get)
    documents = list(python_documents(min_characters=100))
    assert documents[: len(topics)] == [topics[name] for name in sorted(topics)]
    assert documents[len(topics)] == inspect.getdoc(json)
    assert {inspect.getdoc(function) for function in (json.load, json.loads, json.dump)} <= set(documents)
    assert min(map(len, documents)) >= 100 > len(inspect.getdoc(json.JSONDecoder.decode))


def test_a_python_without_its_reference_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    assert "found a Python without it" in refusal(list, read_documents(PythonDocsCorpus(source="python_docs")))


# ---- OpenWebText ---------------------------------------------------------------------------------


class GenerationError(Exception):
    """As that of `datasets`: neither an OSError nor a ValueError."""


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for Hugging Face datasets that serves `TEXTS` and keeps what it was asked for."""
    asked = []
    rows = SimpleNamespace(
        column_names=["text"],
        iter=lambda batch_size: ({"text": TEXTS[i : i + batch_size]} for i in range(0, len(TEXTS), batch_size)),
    )

    def load_dataset(name, **options):
        asked.append((name, options, os.environ.get("HF_HUB_OFFLINE")))
        if name == "absent":
            raise ConnectionError("not\nreachable")
        if name == "damaged":
            raise GenerationError("An error occurred") from ValueError("JSON parse error in row 7")
        return rows

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    errors = SimpleNamespace(DatasetsError=GenerationError)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset, exceptions=errors))
    return SimpleNamespace(asked=asked, rows=rows)


def test_openwebtext_is_offline_unless_asked(hub):
    for download in (True, False):
        settings = OpenWebTextCorpus(source="openwebtext", download=download, validation_fraction=0.5)
        documents = list(read_documents(settings))
        assert [text for _, text in documents] == TEXTS
        assert {part for part, _ in documents} == {"train", "validation"}
    name, options = "Skylion007/openwebtext", {"revision": None, "split": "train"}
    assert hub.asked == [(name, options, "0"), (name, options, "1")]


def test_openwebtext_that_cannot_be_had_is_one_line(hub, monkeypatch):
    settings = OpenWebTextCorpus(source="openwebtext", dataset="absent")
    text = refusal(list, read_documents(settings))
    assert "absent could not be loaded (not reachable); set corpus.download: true" in text
    hub.rows.column_names = ["body", "author"]
    text = refusal(list, read_documents(OpenWebTextCorpus(source="openwebtext")))
    assert "expected a column 'text', found author, body" in text
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install datasets" in refusal(list, read_documents(settings))


@pytest.mark.parametrize(("found", "shown"), [(None, "null"), (7, "7"), (["a"], r'\["a"\]')])
def test_a_row_that_is_no_text_is_named(hub, found, shown):
    hub.rows.iter = lambda batch_size: iter([{"text": TEXTS[:3]}, {"text": ["a", found]}])
    text = refusal(list, read_documents(OpenWebTextCorpus(source="openwebtext")))
    assert re.search(rf": row 4 \(from 0\): expected text, found {shown}; ", text)


def test_a_data_set_that_is_damaged_is_one_line(hub):
    text = refusal(list, read_documents(OpenWebTextCorpus(source="openwebtext", dataset="damaged")))
    assert "damaged could not be loaded (JSON parse error in row 7)" in text

    def cut_off(batch_size):
        yield {"text": TEXTS[:3]}
        raise OSError("unexpected end")

    hub.rows.iter = cut_off
    text = refusal(list, read_documents(OpenWebTextCorpus(source="openwebtext")))
    assert "found damage after 3 (unexpected end)" in text


# ---- the step ------------------------------------------------------------------------------------


def test_every_source_of_the_settings_is_registered():
    named = {name for model in SOURCES for name in get_args(model.model_fields["source"].annotation)}
    assert set(implementations(PACKAGE, "read")) == named == {"python_docs", "jsonl", "openwebtext"}
    for name in named:
        corpus = {"source": name, **({"train": ["x.jsonl"]} if name == "jsonl" else {})}
        assert source_settings(corpus).source == name
    with pytest.raises(UserError, match=r"^corpus.source: expected one of jsonl, openwebtext, python_docs, found"):
        source_settings({"source": "streams"})
    with pytest.raises(UserError, match=r"^corpus: train: this key is required$"):
        source_settings({"source": "jsonl"})


def test_the_script(tmp_path, monkeypatch, capfd):
    settings = {"corpus": {"source": "jsonl", "train": [write_lines(tmp_path / "a.jsonl.gz", TEXTS)]}}
    command = [str(SCRIPT), "--settings", json.dumps(settings), "--source", "test"]
    command += ["--directory", str(tmp_path / "deep" / "corpus")]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    corpus = load_corpus(tmp_path / "deep" / "corpus")
    assert len(corpus.train) + len(corpus.validation) == 300
    (tmp_path / "a.jsonl.gz").unlink()
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert stopped.value.code == 2
