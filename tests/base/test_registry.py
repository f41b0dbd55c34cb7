"""Implementations that are found by name, in a package that is made for it."""

import sys

import pytest

from certifuse.base.errors import UserError
from certifuse.base.registry import implementation, implementations


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Two rules, what they share, and a module that must not be imported to be listed."""
    directory = tmp_path / "planted"
    directory.mkdir()
    files = {
        "__init__": "",
        "parts": "def double(x):\n    return 2 * x\n",
        "mean": "from planted.parts import double\nRULE = double\n",
        "largest": "def RULE(x):\n    return max(x)\n",
        "broken": "RULE: int = 1 / 0\n",
        "no-name": "RULE = 1\n",
        "inner": "def f():\n    RULE = 1\n",
    }
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield directory
    for name in [name for name in sys.modules if name.partition(".")[0] == "planted"]:
        del sys.modules[name]


def test_every_module_that_binds_the_entry_is_found_and_none_is_imported(package):
    assert implementations("planted", "RULE") == ("broken", "largest", "mean")
    assert implementations("planted", "double") == ("parts",)
    assert "planted.mean" not in sys.modules


def test_only_the_one_that_is_asked_for_is_imported(package):
    assert implementation("planted", "RULE", "mean", "rule")(3) == 6
    assert "planted.largest" not in sys.modules
    (package / "median.py").write_text("RULE = sorted\n")
    assert implementation("planted", "RULE", "median", "rule") is sorted


@pytest.mark.parametrize(
    "name", ["parts", "inner", "no-name", "mean.py", "../planted/mean", ".mean", "Mean", "", None, 3]
)
def test_other_names_are_refused_with_the_nearest(package, name):
    with pytest.raises(UserError, match=r"^rule: expected one of broken, largest, mean, found ") as refused:
        implementation("planted", "RULE", name, "rule")
    assert "\n" not in str(refused.value)
    assert ("did you mean 'mean'?" in str(refused.value)) == (name in ("mean.py", ".mean", "Mean"))
