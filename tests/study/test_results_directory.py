"""Which results directories a study may have: each refusal is one line that says what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from certifuse.base.errors import UserError
from certifuse.study.study import read_study

ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))


def named(path: str) -> str:
    return read_study(STUDY | {"results_dir": path}).results_dir


def refused(path: str) -> str:
    with pytest.raises(UserError) as raised:
        named(path)
    line = str(raised.value)
    assert line.startswith("config: results_dir: expected the path of a directory for results alone")
    assert "letters, digits, blanks" in line
    assert "found " in line
    assert "\n" not in line
    return line


REFUSED = [
    *("-rf", "--help", "results/-n", "..", "../elsewhere", "results/../../x", "/", "//", ".", "./", "", "  ", "a/ b"),
    *(".git", ".snakemake/x", "lib", "LIB", "./rules", "lib/certifuse", "workflow", "config", "envs", "tests", "docs"),
    *("a{seed}", "a*", "a?b", "a'b", 'a"b', "a$HOME", "a`b", "a;b", "a|b", "a&b", "a\\b"),
    *("a\nb", "a\x1b[2J", "a\u202eb"),
    *("~/results", "a\u200bb", "a" * 300, "ä" * 150),
]


@pytest.mark.parametrize("path", REFUSED, ids=range(len(REFUSED)))
def test_a_name_that_could_harm_is_refused(path: str) -> None:
    if len(path) > 200:
        with pytest.raises(UserError, match=r"^config: results_dir: expected at most 200 characters, found [^\n]*$"):
            named(path)
    else:
        refused(path)


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("Ergebnisse März", "Ergebnisse März"),
        ("Ma\u0308rz", "März"),  # as some file systems write it
        ("結果/1+2", "結果/1+2"),
        ("a/../b", "b"),
        ("//scratch/x/", "/scratch/x"),
        ("results", "results"),
        ("results/lib", "results/lib"),
    ],
)
def test_a_name_of_any_language_is_allowed(path: str, spelling: str) -> None:
    assert named(path) == spelling


def test_a_place_inside_this_directory_is_written_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert 'where it is written "a/b"' in refused(str(tmp_path / "a" / "b"))
    assert "it lies in" in refused(str(tmp_path))
    assert str(ROOT) in refused(str(ROOT / "results"))
    assert named(str(tmp_path.parent / "other")) == str(tmp_path.parent / "other")


@pytest.mark.parametrize("source", ["analysis.py", "package/module.py", ".git/config", "Snakefile", "main.c"])
def test_a_directory_of_source_is_refused_until_it_is_one_of_a_study(tmp_path: Path, monkeypatch, source) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine" / source
    file.parent.mkdir(parents=True)
    file.touch()
    assert f"that directory holds source ({source.removesuffix('/config')})" in refused("mine")
    (tmp_path / "mine" / "logs").mkdir()
    assert named("mine") == "mine"


def test_a_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("mine")
    assert "there is a file of this name" in refused("results")
