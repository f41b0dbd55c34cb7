"""What is added to the library reruns nothing of a finished study; what is then used brings its own jobs alone."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from extending_examples import LIBRARY, add_architecture, add_rule, insert_before, write
from table_jobs import GATHER, Jobs, after_experts, cell, jobs, pretrained
from table_studies import BLOCK, EMBEDDED
from tree_changes import edited

pytestmark = pytest.mark.slow

Change = Callable[[Any], None]

INEQUALITY = '''
"""No risk is above one."""

from certifuse.evaluation.bounds.evidence import ErrorCounts

SOURCE = "no risk is above one"


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """One."""
    return 1.0
'''
FIGURE = '''
"""A figure with nothing in it."""

from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames
from certifuse.study.steps.reporting import DrawFigure


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel."""
    return plot.new_panels(step.style, [1.0], [1.0])[0]
'''
NOISE = '''
"""Images of noise."""

from certifuse.data.images.image_set import ImageSet
from certifuse.study.settings.data import NoiseData

SETTINGS = NoiseData


def load(settings: NoiseData) -> ImageSet:
    """None yet."""
    raise NotImplementedError
'''
NOISE_DATA = '''class NoiseData(ImageData):
    """Noise."""

    source: Literal["noise"] = Field(description="The kind of source.")'''
POEMS = '''
"""Documents that rhyme."""

from certifuse.data.text.sources.streams import Streams
from certifuse.study.settings.corpora import PoemsCorpus

SETTINGS = PoemsCorpus


def read(settings: PoemsCorpus) -> Streams:
    """None yet."""
    return {"train": iter(())}
'''
POEMS_CORPUS = '''class PoemsCorpus(CorpusBase):
    """Poems."""

    source: Literal["poems"] = Field(description="The kind of source.")'''


def add_inequality(tree: Any) -> None:
    write(tree.root / LIBRARY / "evaluation" / "bounds" / "certain.py", INEQUALITY)


def add_figure(tree: Any) -> None:
    write(tree.root / LIBRARY / "reporting" / "fusion" / "figures" / "blank.py", FIGURE)
    first = "FIGURES: dict[str, Figure] = {\n"
    edited(f"{LIBRARY}/study/figures.py", first, f'{first}    "blank": _of_fusion("Nothing."),\n')(tree)


def add_images(tree: Any) -> None:
    write(tree.root / LIBRARY / "data" / "images" / "sources" / "noise.py", NOISE)
    insert_before(tree.root / LIBRARY / "study" / "settings" / "data.py", "DataSettings = ", NOISE_DATA)
    edited(f"{LIBRARY}/study/settings/data.py", "Annotated[DigitsData | ", "Annotated[DigitsData | NoiseData | ")(tree)


def add_documents(tree: Any) -> None:
    file = f"{LIBRARY}/study/settings/corpora.py"
    write(tree.root / LIBRARY / "data" / "text" / "sources" / "poems.py", POEMS)
    insert_before(tree.root / file, "CorpusSettings = ", POEMS_CORPUS)
    edited(file, "CorpusSettings = Annotated[", "CorpusSettings = Annotated[PoemsCorpus | ")(tree)


def used(add: Change, **names: list[str]) -> Change:
    """The addition, and a block of the grid that uses it."""

    def change(tree: Any) -> None:
        add(tree)
        study = EMBEDDED | {"grid": [*EMBEDDED["grid"], BLOCK | names]}
        (tree.root / "embedded.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")

    return change


def appended(file: str, text: str) -> Change:
    """More at the end of a module."""

    def change(tree: Any) -> None:
        path = tree.root / LIBRARY / file
        path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n\n\n{text}\n", encoding="utf-8")

    return change


def everything(tree: Any) -> None:
    """All of it at once."""
    for add in (add_rule, add_architecture, add_inequality, add_images, add_documents):
        add(tree)


HELPER = 'def doubled(x: float) -> float:\n    """Twice as much."""\n    return 2 * x'
STEP = '''class TrainAgain(CellStep):
    """Train again."""

    cell: Cell'''
BLOCKS, LOSSES = "models/images/blocks.py", "training/losses.py"
ADDITIONS: dict[str, tuple[Change, Jobs]] = {
    "nothing": (lambda tree: None, jobs()),
    "fusion rule": (add_rule, jobs()),
    "fusion rule that is used": (used(add_rule, fusions=["mean"]), cell("resnet", "mean") | GATHER),
    "architecture": (add_architecture, jobs()),
    "architecture that is used": (
        used(add_architecture, architectures=["plain_convolutions"]),
        pretrained("plain_convolutions") | after_experts("plain_convolutions"),
    ),
    "inequality": (add_inequality, jobs()),
    "figure": (add_figure, jobs("draw_figure blank", "write_start_page", "all")),
    "source of images": (add_images, jobs()),
    "source of documents": (add_documents, jobs()),
    "everything": (everything, jobs()),
    "function beside shared blocks": (appended(BLOCKS, HELPER), jobs()),
    "function beside losses": (appended(LOSSES, HELPER), jobs()),
    "template of a path": (appended("study/paths.py", 'AGAIN = "again/{architecture}/seed_{seed}"'), jobs()),
    "class of a step": (appended("study/steps/training.py", STEP), jobs()),
    "comment": (edited(f"{LIBRARY}/{BLOCKS}", "\n\ndef convolution", "\n\n# A comment.\ndef convolution"), jobs()),
    "docstring": (edited(f"{LIBRARY}/{BLOCKS}", '"""The pooled features', '"""Pooled features'), jobs()),
}


@pytest.fixture(scope="module")
def plans(recorded: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each addition brings in the embedded study, which has all architectures, certificates, language models."""

    def plan(name: str) -> set[str]:
        tree = recorded.copy(tmp_path_factory.mktemp("added"))
        ADDITIONS[name][0](tree)
        return set(tree.planned("--configfile", "embedded.yaml"))

    return in_parallel(plan, {name: (name,) for name in ADDITIONS})


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_brings_its_own_jobs_alone(plans: Any, name: str) -> None:
    assert plans[name].result() == ADDITIONS[name][1]
