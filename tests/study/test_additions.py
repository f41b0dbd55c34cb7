"""Additions in a copy of the sources: they work by their name alone, and no step that trains or certifies changes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULE = """
from certifuse.models.images.fusion.parts import NormedCombination


class Mean(NormedCombination):
    def combined(self, normed_ENd):
        return normed_ENd.mean(dim=0)


RULE = Mean
"""
ARCHITECTURE = """
from torch import nn

from certifuse.models.images.blocks import ImageClassifier, convolution
from certifuse.study.settings.architectures import StemSettings


class Stem(ImageClassifier):
    def __init__(self, settings, num_classes, in_channels=3):
        super().__init__(convolution(in_channels, settings.width, size=3), settings.width, num_classes)


NETWORK = Stem
SETTINGS = StemSettings
"""
STEM_SETTINGS = """class StemSettings(Settings):
    '''One convolution.'''

    width: Size = Field(default=64, description="Channels.")


ARCHITECTURE_SETTINGS: dict"""
INEQUALITY = """
SOURCE = "no risk is above one"


def zero_one(seen, code_bits, delta):
    return 1.0
"""
NOISE_DATA = """class NoiseData(ImageData):
    '''Noise.'''

    source: Literal["noise"] = Field(description="The kind of source.")


DataSettings = Annotated[NoiseData | """
NOISE = """
from certifuse.study.settings.data import NoiseData

SETTINGS = NoiseData


def load(settings):
    return settings.source
"""
DEFAULTS = '{"epochs": 9, "expert_lr": 1e-4, "fusion_lr": 1e-3, "augmentation": "strong"}'
ADDED = """
from certifuse.evaluation.bounds.inequalities import zero_one_bounds
from certifuse.data.images.sources.registry import load_source, source_settings
from certifuse.models.images.architectures.registry import architecture_settings, build_architecture
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.fusion import FusionModuleSettings
from certifuse.study.study import read_study

cell = {"architectures": ["stem"], "fusions": ["mean"], "lambdas": ["1.0"], "seeds": [0]}
sizes = {"stem": {"width": 8}}
study = read_study({"name": "added", "data": {"source": "noise"}, "architectures": sizes, "grid": [cell]})
print(study.fusion.resolved("mean").epochs, study.architectures.stem.width)
network = build_architecture("stem", architecture_settings("stem", {"width": 8}), 3)
print(network.feature_dim, build_fusion("mean", 2, 8, FusionModuleSettings()).output_dim)
print(load_source(source_settings({"source": "noise"})), zero_one_bounds(1, 2.0, 9, 0.1)[-1].source)
"""
FINGERPRINTS = """
import json
from pathlib import Path

from certifuse.base.fingerprint import source_fingerprint

modules = ["certifuse.models.images.architectures.resnet", "certifuse.models.images.fusion.concatenation"]
print(json.dumps({path.stem: source_fingerprint(path, modules) for path in Path("workflow/scripts").glob("*.py")}))
"""


def run_in(root: Path, program: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'lib')\n{program}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def fingerprints_in(root: Path) -> dict[str, str]:
    done = run_in(root, FINGERPRINTS)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for folder in ("lib/certifuse", "workflow/scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_addition_works_by_its_name_and_leaves_every_step_alone(copied: Path) -> None:
    before = fingerprints_in(copied)
    library = copied / "lib/certifuse"
    settings = library / "study/settings"
    (library / "models/images/fusion/mean.py").write_text(RULE)
    replaced(settings / "fusion.py", '    "concatenation": {', f'    "mean": {DEFAULTS},\n    "concatenation": {{')
    (library / "models/images/architectures/stem.py").write_text(ARCHITECTURE)
    replaced(settings / "architectures.py", "ARCHITECTURE_SETTINGS: dict", STEM_SETTINGS)
    entry = '    "resnet": ResNetSettings,'
    replaced(settings / "architectures.py", entry, f'{entry}\n    "stem": StemSettings,')
    (library / "evaluation/bounds/zz_certain.py").write_text(INEQUALITY)
    (library / "data/images/sources/noise.py").write_text(NOISE)
    replaced(settings / "data.py", "DataSettings = Annotated[", NOISE_DATA)
    done = run_in(copied, ADDED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["9 8", "8 8", "noise no risk is above one"]
    assert fingerprints_in(copied) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "program"),
    [
        (
            "fusion.py",
            '    "concatenation": {',
            f'    "plain": {DEFAULTS},\n    "concatenation": {{',
            "settings.fusion",
        ),
        ("architectures.py", '    "resnet": ResNetSettings,', '    "plain": ResNetSettings,', "settings.architectures"),
        (
            "grid.py",
            "    architectures: Architectures",
            "    plain: Fusions = ()\n    architectures: Architectures",
            "study",
        ),
    ],
    ids=["rule", "architecture", "key"],
)
def test_a_name_that_settings_use_themselves_is_refused_on_import(
    copied: Path, file: str, old: str, new: str, program: str
) -> None:
    replaced(copied / "lib/certifuse/study/settings" / file, old, new)
    done = run_in(copied, f"import certifuse.study.{program}")
    assert done.returncode == 1
    assert "expected names that are free, found 'plain', which is used by every settings model" in done.stderr
