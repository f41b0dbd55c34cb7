"""Fingerprints that see what matters and nothing else, and the record of an environment."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import certifuse
from certifuse.base import fingerprint as provenance
from certifuse.base.digests import canonical_json
from certifuse.base.environment import environment_record, git_state, package_versions, processor
from certifuse.base.fingerprint import source_fingerprint

LIBRARY = Path(certifuse.__file__).parent
SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


# ---- source fingerprints -------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the library and of one script that the fingerprint is taken of."""
    library = tmp_path / "lib" / "certifuse"
    shutil.copytree(LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    script = tmp_path / "train_fusion.py"
    shutil.copy(SCRIPTS / "train_fusion.py", script)
    monkeypatch.setattr(provenance, "LIBRARY", library)
    return Checkout(library, script)


class Checkout:
    def __init__(self, library, script):
        self.library, self.script = library, script

    def fingerprint(self):
        provenance._read_module.cache_clear()
        return source_fingerprint(self.script)

    def edit(self, name, pattern, replacement):
        path = self.script if name == "script" else self.library / name
        text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is not in {name}"
        path.write_text(text)

    def append(self, name, text):
        path = self.library / name
        path.write_text(path.read_text() + text)


@pytest.fixture(autouse=True)
def _no_stale_modules():
    yield
    provenance._read_module.cache_clear()


@pytest.mark.parametrize(
    ("name", "pattern", "replacement"),
    [
        ("training/losses.py", r"^import torch$", "import torch  # a comment"),
        ("training/losses.py", r'^"""The losses', '"""All of the losses'),
        ("training/losses.py", r'"""Cross-entropy against', '"""The cross-entropy against'),
        ("training/telemetry.py", r'^"""The project names of the guides\."""', '"""Project names."""'),
        ("training/losses.py", r"^def cross_entropy\(", "\n\n\ndef cross_entropy(\n    "),
        ("training/losses.py", r"temperature\*\*2", "(temperature ** 2)"),
        ("script", r"^def main", "# a comment\ndef main"),
        ("__init__.py", r'__version__ = ".*"', '__version__ = "9.9"'),
    ],
    ids=["comment", "module", "function", "constant", "layout", "parentheses", "script", "version"],
)
def test_comments_docstrings_and_layout_are_not_seen(checkout, name, pattern, replacement):
    before = checkout.fingerprint()
    checkout.edit(name, pattern, replacement)
    assert checkout.fingerprint() == before


@pytest.mark.parametrize(
    ("name", "pattern", "replacement"),
    [
        ("training/losses.py", r"temperature\*\*2", "temperature**3"),
        ("data/augmentation.py", r"ERASED_AREA = \(0\.02, 0\.4\)", "ERASED_AREA = (0.02, 0.5)"),
        ("models/blocks.py", r"padding=size // 2", "padding=0"),
        ("settings/fusion.py", r"default=128", "default=64"),
        ("script", r'default="none"', 'default="1.0"'),
    ],
    ids=["direct", "constant", "transitive", "default", "script"],
)
def test_a_change_of_what_runs_is_seen(checkout, name, pattern, replacement):
    before = checkout.fingerprint()
    checkout.edit(name, pattern, replacement)
    assert checkout.fingerprint() != before


def test_a_module_that_the_step_never_imports_is_not_seen(checkout):
    before = checkout.fingerprint()
    checkout.append("bounds/kl.py", "\nSOMETHING = 1\n")
    checkout.append("reporting/style.py", "\nSOMETHING = 1\n")
    assert checkout.fingerprint() == before


def test_imports_inside_functions_and_of_imported_modules_are_followed(checkout):
    (checkout.library / "first.py").write_text(
        "def f():\n    if True:\n        from certifuse.second import g\n        return g\n"
    )
    (checkout.library / "second.py").write_text("import certifuse.third as third\ng = third\n")
    (checkout.library / "third.py").write_text("VALUE = 1\n")
    checkout.script.write_text("def main():\n    from certifuse import first\n")
    before = checkout.fingerprint()
    (checkout.library / "third.py").write_text("VALUE = 2\n")
    assert checkout.fingerprint() != before


def test_the_init_of_a_package_on_the_way_is_seen(checkout):
    """Importing `certifuse.training.losses` also runs `certifuse/training/__init__.py`."""
    checkout.script.write_text("from certifuse.training.losses import cross_entropy\n")
    before = checkout.fingerprint()
    checkout.append("training/__init__.py", "\nSOMETHING = 1\n")
    assert checkout.fingerprint() != before


def test_circular_imports_end(checkout):
    (checkout.library / "first.py").write_text("import certifuse.second\n")
    (checkout.library / "second.py").write_text("import certifuse.first\n")
    checkout.script.write_text("import certifuse.first\n")
    assert len(checkout.fingerprint()) == 16


def test_a_relative_import_is_refused_rather_than_missed(checkout):
    checkout.append("training/losses.py", "\nfrom . import epoch\n")
    with pytest.raises(ValueError, match="expected absolute imports"):
        checkout.fingerprint()


def test_the_root_holds_nothing_but_the_version():
    """It is left out of every fingerprint, so that a release reruns nothing."""
    names = {name for name in vars(certifuse) if not name.startswith("__")}
    assert {name for name in names if not (LIBRARY / name).is_dir() and not (LIBRARY / f"{name}.py").is_file()} == set()


FINGERPRINT = """
import sys
from pathlib import Path
from certifuse.provenance import source_fingerprint
print(source_fingerprint(Path(sys.argv[1])))
"""


def test_the_place_of_the_checkout_is_not_seen_and_nothing_heavy_is_imported(tmp_path):
    """Two real checkouts in two processes; torch cannot be imported there."""
    found = []
    for name in ("here", "elsewhere/deeper"):
        root = tmp_path / name
        shutil.copytree(LIBRARY, root / "lib" / "certifuse", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SCRIPTS / "train_fusion.py", root / "train_fusion.py")
        (root / "lib" / "torch.py").write_text("raise ImportError('torch was imported')\n")
        done = subprocess.run(
            [sys.executable, "-c", FINGERPRINT, str(root / "train_fusion.py")],
            env=os.environ | {"PYTHONPATH": str(root / "lib")},
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        )
        found.append(done.stdout.strip())
    assert found[0] == found[1]
    assert len(found[0]) == 16


# ---- manifests -----------------------------------------------------------------------------------


def test_versions_are_recorded_and_what_is_absent_is_null(monkeypatch):
    monkeypatch.setattr(provenance, "RECORDED_PACKAGES", ("torch", "no-such-package"))
    versions = package_versions()
    assert versions["torch"].startswith("2.")
    assert versions["no-such-package"] is None
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "LIBRARY", tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(directory, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True)


def test_outside_git_there_is_no_state(repository):
    assert git_state() == {"commit": None, "dirty": None, "diff_sha256": None}


def test_the_commit_and_a_difference_from_it_are_recorded(repository):
    (repository / "file").write_text("one\n")
    git(repository, "init")
    git(repository, "add", "file")
    git(repository, "commit", "-m", "first")
    clean = git_state()
    assert re.fullmatch("[0-9a-f]{40}", clean["commit"])
    assert (clean["dirty"], clean["diff_sha256"]) == (False, None)
    (repository / "file").write_text("two\n")
    dirty = git_state()
    assert (dirty["commit"], dirty["dirty"]) == (clean["commit"], True)
    assert re.fullmatch("[0-9a-f]{64}", dirty["diff_sha256"])


def test_without_git_there_is_no_state(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state()["commit"] is None


def test_the_record_is_plain_json():
    record = environment_record()
    assert canonical_json(record)
    assert set(record) == {"command", "git", "machine", "packages", "platform", "processor"}


def test_the_processor_is_told_by_name_and_numbers(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    first = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC: 9555\nflags\t\t: fpu avx2\n"
    cpuinfo.write_text(f"{first}\n{first.replace('26', '25')}\n")
    assert processor(cpuinfo) == "model name AMD EPYC: 9555, cpu family 26, model 2"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert processor(cpuinfo) is None


def test_without_cpuinfo_the_platform_names_the_processor(tmp_path, monkeypatch):
    for named, told in {"arm": "arm", "": None}.items():
        monkeypatch.setattr("platform.processor", lambda named=named: named)
        assert processor(tmp_path / "absent") == told
