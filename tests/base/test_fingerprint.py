"""Fingerprints that see what runs and nothing else: on small libraries that are planted, and on the real one."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from script_modules import SCRIPTS, by_bytecode

import certifuse
from certifuse.base import fingerprint
from certifuse.base.fingerprint import source_fingerprint

LIBRARY = Path(certifuse.__file__).parent
SCRIPT = "from certifuse.steps.train import train\n\nif __name__ == '__main__':\n    train(3)\n"
PLANTED = {
    "steps/train": '''
"""Train."""

from certifuse.models import parts
from certifuse.models.network import Network
from certifuse.training.losses import loss
from certifuse.training.rates import EPOCHS, RATES


def train(steps: int) -> list[float]:
    """Train a network."""
    network = Network(parts.width(steps))
    return [loss(network(RATES["first"])) for _ in range(EPOCHS)]


def resume():
    return EPOCHS - 1
''',
    "models/__init__": "SIZES = (1, 2)\n",
    "models/parts": """
import math


def width(steps, factor=2):
    return factor * math.floor(steps)


def depth(steps):
    return steps
""",
    "models/network": '''
from certifuse.models.layers import Layer, start


class Network:
    """Some layers."""

    def __init__(self, width):
        self.layers = [make() for _ in range(width)]

    def __call__(self, x):
        return sum(layer(x) for layer in self.layers)


def make():
    return Layer(start)
''',
    "models/layers": """
from certifuse.models.weights import start


class Layer:
    gain = 3.0

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return self.gain * self.weight * x
""",
    "models/weights": "start = 0.25\nend = 0.75\n",
    "training/__init__": '"""Training."""\n',
    "training/losses": '''
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certifuse.training.checked import Checked
else:
    from certifuse.training.running import running

if TYPE_CHECKING:
    from certifuse.models.weights import end


def loss(x: "Checked") -> float:
    """The loss."""
    from certifuse.training.inside import inside

    return running(inside(x**2))
''',
    "training/running": "def running(x):\n    return x\n",
    "training/checked": "class Checked:\n    sign = 1\n",
    "training/inside": "def inside(x):\n    return -x\n",
    "training/rates": '''
"""Rates and epochs."""

EPOCHS = 4
"""How many."""
RATES = {}
RATES["first"] = 0.5
MOST, *_ = (7, 8)
''',
    "figures/dots": """
from certifuse.figures.axes import axes
from certifuse.figures.colours import colours as palette


def draw():
    return axes()


def legend():
    return "dots"
""",
    "figures/axes": "def axes():\n    return 'log'\n",
    "figures/colours": "colours = ('red',)\n",
    "figures/bars": "def draw():\n    return 'bars'\n",
}


class Planted:
    """A library and the script of a step, whose files can be edited."""

    def __init__(self, root: Path):
        self.library, self.script = root / "certifuse", root / "train.py"
        self.script.write_text(SCRIPT)
        for name, text in PLANTED.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.script if name == "script" else self.library / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.script if name == "script" else self.library / f"{name}.py"
        assert old in path.read_text(), f"{old} is not in {name}"
        path.write_text(path.read_text().replace(old, new, 1))

    def append(self, name: str, text: str) -> None:
        path = self.library / f"{name}.py"
        path.write_text(path.read_text() + text)

    def fingerprint(self, *modules: str) -> str:
        clear()
        return source_fingerprint(self.script, modules)


def clear() -> None:
    for cached in (fingerprint._file, fingerprint._read, fingerprint._source, fingerprint._fingerprint):
        cached.cache_clear()


@pytest.fixture
def planted(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "LIBRARY", tmp_path / "certifuse")
    yield Planted(tmp_path)
    clear()


SEEN = {
    "the script": ("script", "train(3)", "train(4)"),
    "a function that is used": ("steps/train", "for _ in range(EPOCHS)", "for _ in range(2 * EPOCHS)"),
    "a function that a class uses": ("models/network", "return Layer(start)", "return Layer(2 * start)"),
    "a class": ("models/network", "sum(layer(x)", "max(layer(x)"),
    "a class that is used through a function": ("models/layers", "self.gain * self.weight * x", "self.weight * x"),
    "an attribute of a class": ("models/layers", "gain = 3.0", "gain = 4.0"),
    "a default": ("models/parts", "factor=2", "factor=3"),
    "a constant": ("training/rates", "EPOCHS = 4", "EPOCHS = 5"),
    "a module that is used as module.name": ("models/parts", "math.floor(steps)", "math.ceil(steps)"),
    "what an import from elsewhere means": ("models/parts", "import math", "import cmath as math"),
    "an import of this library": (
        *("models/layers", "from certifuse.models.weights import start"),
        "from certifuse.models.weights import end as start",
    ),
    "the init of a package on the way": ("models/__init__", "(1, 2)", "(1, 3)"),
    "a name that is handed on by an import": ("models/weights", "start = 0.25", "start = 0.5"),
    "an import inside a function": ("training/inside", "return -x", "return x"),
    "a statement that defines nothing": ("training/rates", '["first"] = 0.5', '["first"] = 0.25'),
    "the other branch of TYPE_CHECKING": ("training/running", "return x", "return -x"),
}


@pytest.mark.parametrize("case", SEEN)
def test_a_change_of_what_runs_is_seen(planted, case):
    before = planted.fingerprint()
    planted.edit(*SEEN[case])
    assert planted.fingerprint() != before


UNSEEN = {
    "a function that nothing uses": ("models/parts", "return steps", "return 2 * steps"),
    "a function of the step's own module that it does not use": ("steps/train", "EPOCHS - 1", "EPOCHS - 2"),
    "a constant that nothing uses": ("models/weights", "end = 0.75", "end = 0.8"),
    "a name that is bound with others": ("training/rates", "(7, 8)", "(9, 8)"),
    "a module that nothing uses": ("figures/axes", "'log'", "'linear'"),
    "the docstring of a module": ("training/rates", "Rates and epochs.", "Epochs and rates."),
    "the docstring of a function": ("training/losses", '"""The loss."""', '"""A loss."""'),
    "the docstring of a class": ("models/network", '    """Some layers."""\n', ""),
    "the docstring of a constant": ("training/rates", "How many.", "So many."),
    "a comment": ("models/parts", "import math", "import math  # floor"),
    "layout": ("models/parts", "factor * math.floor(steps)", "(factor\n            * math.floor(steps))"),
    "an import for type checkers": ("training/losses", "    from certifuse.models.weights import end\n", "    pass\n"),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_a_change_of_what_does_not_run_is_not_seen(planted, case):
    before = planted.fingerprint()
    planted.edit(*UNSEEN[case])
    assert planted.fingerprint() == before


ADDITIONS = {
    "a function": ("training/losses", "\n\ndef other(x):\n    return loss(x)\n"),
    "a class": ("models/network", "\n\nclass Other(Network):\n    pass\n"),
    "a constant": ("training/rates", "\nMOMENTUM = 0.9\n"),
    "an import": ("training/rates", "\nfrom certifuse.figures.dots import draw\nimport numpy as np\n"),
    "an import for type checkers": ("training/rates", "\nif TYPE_CHECKING:\n    from certifuse.figures import dots\n"),
    "a comment": ("steps/train", "\n# a comment\n"),
    "an empty line": ("steps/train", "\n\n"),
}


@pytest.mark.parametrize("case", ADDITIONS)
def test_an_addition_is_not_seen(planted, case):
    before = planted.fingerprint()
    planted.append(*ADDITIONS[case])
    assert planted.fingerprint() == before


def test_an_added_module_is_not_seen(planted):
    before = planted.fingerprint()
    planted.write("models/added", "from certifuse.models.layers import Layer\nNETWORK = Layer\n")
    assert planted.fingerprint() == before


def test_a_script_of_another_name_or_step_has_another_fingerprint(planted):
    before = planted.fingerprint()
    planted.edit("script", "train(3)", "train(steps=3)")
    assert planted.fingerprint() != before
    planted.write("script", SCRIPT)
    assert planted.fingerprint() == before


# ---- names that mean several things ----------------------------------------------------------------


@pytest.mark.parametrize(
    "user",
    [
        "def use():\n    from certifuse.first import f\n    return f()\n\n\n"
        "def other():\n    from certifuse.second import f\n    return f()\n",
        "try:\n    from certifuse.first import f\nexcept ImportError:\n    f = None\n\n\ndef use():\n    return f()\n",
        "import certifuse.first\n\n\ndef use():\n    return certifuse.first.f()\n",
        "import certifuse.first as one\n\n\ndef use():\n    return one.f()\n",
        "from certifuse import first\n\n\ndef use():\n    return first.f()\n",
        "from certifuse import first\n\n\ndef use():\n    return getattr(first, 'f')()\n",
        "from certifuse import first\n\n\ndef use(module=first):\n    return module.f()\n",
        "from certifuse import passing\n\n\ndef use():\n    return passing.first.f()\n",
        "from certifuse.passing import first\n\n\ndef use():\n    return first.f()\n",
        "from certifuse.first import f as use\n",
    ],
    ids=[
        *("imported twice", "or a default", "dotted", "renamed", "from the root", "by getattr", "as a value"),
        *("of a module of a module", "handed on", "under another name"),
    ],
)
def test_however_a_function_is_named_its_edit_is_seen(planted, user):
    planted.write("first", "def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    planted.write("second", "def f():\n    return 2\n")
    planted.write("passing", "from certifuse import first\n")
    planted.write("user", user)
    planted.write("script", "from certifuse.user import use\n\nuse()\n")
    before = planted.fingerprint()
    planted.edit("first", "def f():\n    return 1", "def f():\n    return 3")
    assert planted.fingerprint() != before


def test_the_order_of_statements_that_bind_one_name_is_seen(planted):
    planted.write("script", "from certifuse.order import X\n\nprint(X)\n")
    planted.write("order", "X = 1\nX *= 2\nX += 3\n")
    before = planted.fingerprint()
    planted.write("order", "X = 1\nX += 3\nX *= 2\n")
    assert planted.fingerprint() != before


def test_circles_end(planted):
    planted.write("first", "from certifuse.second import g\n\n\ndef f():\n    return g()\n")
    planted.write("second", "def g():\n    from certifuse.first import f, g\n    return f() + g()\n")
    planted.write("script", "from certifuse.first import f\n\nf()\n")
    assert len(planted.fingerprint()) == 16


# ---- modules that are found by name ----------------------------------------------------------------


def test_a_named_module_counts_whole_with_what_it_uses(planted):
    dots, bars = "certifuse.figures.dots", "certifuse.figures.bars"
    alone, before, other = planted.fingerprint(), planted.fingerprint(dots), planted.fingerprint(bars)
    assert len({alone, before, other}) == 3
    assert planted.fingerprint(dots, bars) == planted.fingerprint(bars, dots, dots) not in (before, other)
    for name, old, new in [
        ("figures/dots", '"dots"', '"points"'),
        ("figures/axes", "'log'", "'linear'"),
        ("figures/colours", "('red',)", "('blue',)"),
    ]:
        planted.edit(name, old, new)
        after = planted.fingerprint(dots)
        assert after != before, name
        before = after
    assert (planted.fingerprint(), planted.fingerprint(bars)) == (alone, other)


def test_what_is_missing_or_cannot_be_followed_is_refused(planted):
    for missing in ("certifuse.figures.pies", "certifuse.figures", "certifuse", "numpy"):
        with pytest.raises(ValueError, match=f"expected a module of this library, found none called {missing}"):
            planted.fingerprint(missing)
    planted.append("training/losses", "\nfrom . import rates\n")
    with pytest.raises(ValueError, match="expected absolute imports, found a relative one"):
        planted.fingerprint()
    planted.write("training/losses", "from certifuse.training.rates import *\n")
    with pytest.raises(ValueError, match="expected imports of names, found one of everything"):
        planted.fingerprint()


# ---- the real library ------------------------------------------------------------------------------


IMAGE_TRAININGS = {"pretrain_expert", "finetune_experts", "train_fusion", "certify_subspace"}
NETWORKS = IMAGE_TRAININGS | {"evaluate_fusion", "evaluate_baselines", "certify_joint"}
"""The steps that find an architecture by its name, and perhaps a fusion rule."""
RESNET = ("certifuse.models.images.architectures.resnet", "certifuse.models.images.fusion.concatenation")
CODED = {"certify_subspace", "certify_joint", "certify_sublora", "certify_ngram"}
EDITS = {
    "training/losses": IMAGE_TRAININGS,
    "data/images/augmentation": IMAGE_TRAININGS,
    "training/language": {"train_sublora"},
    "training/loop/resume": IMAGE_TRAININGS | {"train_sublora"},
    "certificates/coding/range_code": CODED,
    "models/images/blocks": NETWORKS,
    "models/images/architectures/resnet": NETWORKS,
    "models/images/architectures/densenet": set(),
    "models/subspace/projectors": {"certify_subspace", "certify_joint", "certify_sublora", "train_sublora"},
    "evaluation/images/calibration": {"evaluate_fusion", "evaluate_baselines"},
    "evaluation/statistics": {"compare_cells", "write_tables", "write_sublora_tables", "write_start_page"},
    "data/text/corpus": {"prepare_corpus", "train_sublora", "certify_sublora", "certify_ngram"},
    "reporting/fusion/costs": {"write_tables", "write_start_page"},
    "reporting/fusion/figures/diversity": set(),
    "cli/render": set(),
    "base/manifest": {script.stem for script in SCRIPTS},
}


def fingerprints() -> dict[str, str]:
    """Those of every step, in a cell of ResNets that are concatenated where it is of one."""
    clear()
    return {script.stem: source_fingerprint(script, RESNET if script.stem in NETWORKS else ()) for script in SCRIPTS}


def spoil(path: Path) -> None:
    """Change every function of a module."""

    class Spoiler(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
            node.body.insert(0, ast.parse("assert True").body[0])
            return node

    path.write_text(ast.unparse(Spoiler().visit(ast.parse(path.read_text(encoding="utf-8")))), encoding="utf-8")


@pytest.mark.parametrize("module", EDITS)
def test_an_edit_of_a_module_is_seen_by_its_users_alone(tmp_path, monkeypatch, module):
    shutil.copytree(LIBRARY, tmp_path / "certifuse", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "LIBRARY", tmp_path / "certifuse")
    before = fingerprints()
    spoil(tmp_path / "certifuse" / f"{module}.py")
    after = fingerprints()
    clear()
    assert {script for script in after if after[script] != before[script]} == EDITS[module]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_nothing_counts_that_the_compiled_script_cannot_import(script):
    """The other direction, that whatever runs counts, is in `tests/steps/test_source_of_steps.py`."""
    counted = {part.partition(":")[0] for part in fingerprint._counted(script, script.name, ())} - {script.name}
    files = {fingerprint._file(module).relative_to(LIBRARY).as_posix() for module in counted}
    assert files <= by_bytecode(script)
    assert f"steps/{script.name}" in files


def test_the_root_holds_the_version_and_finds_the_interface_and_nothing_else():
    """It is left out of every fingerprint, so that a release reruns nothing."""
    names = {name for name in vars(certifuse) if not name.startswith("__")}
    finding = {"TYPE_CHECKING", "Any", "import_module", "_MODULES"}
    assert {name for name in names if not (LIBRARY / name).is_dir()} == finding


FINGERPRINT = """
import sys
from pathlib import Path
from certifuse.base.fingerprint import source_fingerprint
print(source_fingerprint(Path(sys.argv[1])))
"""


def test_the_place_of_the_checkout_is_not_seen_and_nothing_heavy_is_imported(tmp_path):
    """Two real checkouts in two processes; torch cannot be imported there."""
    found = []
    for name in ("here", "elsewhere/deeper"):
        root = tmp_path / name
        shutil.copytree(LIBRARY, root / "lib" / "certifuse", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SCRIPTS[0].with_name("train_fusion.py"), root)
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
