"""An edited definition of the library reruns exactly the jobs that use it, and what needs their results."""

import re
from typing import Any, NamedTuple

import pytest
from job_graph import Job, with_everything_downstream
from script_modules import SCRIPTS, by_bytecode
from table_jobs import (
    CELLS_AFTER,
    FROM_SPLITS,
    FUSED,
    GATHER,
    IMAGES,
    JOINT,
    LANGUAGE,
    LANGUAGE_CERTIFICATES,
    LAST,
    MODELS,
    MULTIPLICATIVE,
    NGRAMS,
    SCORES,
    SUBSPACE,
    Jobs,
    after_experts,
    jobs,
    pretrained,
)
from tree_changes import edited

from certifuse.study.steps.registry import STEPS

pytestmark = pytest.mark.slow


class Edit(NamedTuple):
    """Another text in the place of one in a module, and the jobs that it reruns in the embedded study."""

    module: str
    old: str
    new: str
    jobs: Jobs


RESNET = pretrained("resnet") | after_experts("resnet") | MULTIPLICATIVE | SUBSPACE | JOINT
FUSION = "models/images/fusion"
EDITS = {
    "one rule": Edit(
        f"{FUSION}/concatenation.py", ".flatten(1)", ".flatten(-2)", (CELLS_AFTER - MULTIPLICATIVE) | SUBSPACE
    ),
    "another rule": Edit(
        f"{FUSION}/multiplicative.py", "product(normed_ENd)", "-product(normed_ENd)", MULTIPLICATIVE | GATHER
    ),
    "rule that no cell has": Edit(f"{FUSION}/simpleAddition.py", "RULE =", "RULE = OTHER =", jobs()),
    "what one rule uses": Edit(f"{FUSION}/parts.py", "reduce(torch.mul", "reduce(torch.add", MULTIPLICATIVE | GATHER),
    "what no cell uses": Edit(f"{FUSION}/parts.py", "weights_E.softmax(dim=0)", "weights_E.sigmoid()", jobs()),
    "what every rule uses": Edit(
        f"{FUSION}/parts.py", "torch.ones(experts", "torch.zeros(experts", CELLS_AFTER | SUBSPACE
    ),
    "one architecture": Edit(
        "models/images/architectures/densenet.py",
        "nn.AvgPool2d(2)",
        "nn.MaxPool2d(2)",
        pretrained("densenet") | after_experts("densenet"),
    ),
    "another architecture": Edit("models/images/architectures/resnet.py", "widths[-1], num", "widths[0], num", RESNET),
    "shared block": Edit("models/images/blocks.py", "bias=False", "bias=True", FROM_SPLITS),
    "loss of fused experts": Edit(
        "training/losses.py", "(1 - label_smoothing)", "(1 - 2 * label_smoothing)", FUSED | SUBSPACE
    ),
    "loss of all networks": Edit(
        "training/losses.py", "logits_NK.float(), targets_NK", "logits_NK, targets_NK", FROM_SPLITS
    ),
    "augmentation": Edit("data/images/augmentation.py", "images_NCHW.flip(3)", "images_NCHW.flip(2)", FROM_SPLITS),
    "source of images": Edit("data/images/sources/digits.py", "255 / 16", "255 / 17", IMAGES),
    "another source": Edit("data/images/sources/cifar.py", "SETTINGS =", "SETTINGS = OTHER =", jobs()),
    "calibration": Edit(
        "evaluation/images/calibration.py", "np.nansum(reliability.count * gap_B)", "np.nansum(gap_B)", SCORES
    ),
    "inequality of a claim": Edit(
        "evaluation/bounds/excess_betting.py", "- pairs.better", "- 2 * pairs.better", SUBSPACE | JOINT
    ),
    "coder": Edit(
        "certificates/coding/range_code.py", "3 * WORD", "4 * WORD", SUBSPACE | JOINT | LANGUAGE_CERTIFICATES | NGRAMS
    ),
    "language model": Edit("training/language.py", "len(batch.inputs_BC)", "len(batch.targets_BC)", MODELS),
    "documents": Edit("data/text/corpus.py", 'f"document {index} of {len(self)}"', '"no such document"', LANGUAGE),
    "figure": Edit(
        "reporting/fusion/figures/reliability.py", "FEWEST = 10", "FEWEST = 20", jobs("draw_figure reliability", *LAST)
    ),
}


@pytest.fixture(scope="module")
def plans(recorded: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each edit brings in the embedded study."""

    def plan(name: str) -> set[str]:
        tree = recorded.copy(tmp_path_factory.mktemp("edited"))
        edit = EDITS[name]
        edited(f"lib/certifuse/{edit.module}", edit.old, edit.new)(tree)
        return set(tree.planned("--configfile", "embedded.yaml"))

    return in_parallel(plan, {name: (name,) for name in EDITS})


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_its_users_alone(plans: Any, name: str) -> None:
    assert plans[name].result() == EDITS[name].jobs


@pytest.fixture(scope="module")
def importable() -> dict[str, set[str]]:
    """The library files of every script, by its bytecode."""
    return {script.name: by_bytecode(script) for script in SCRIPTS}


@pytest.mark.parametrize("name", EDITS)
def test_no_job_is_expected_above_that_cannot_import_what_was_edited(
    graph: list[Job], importable: dict[str, set[str]], name: str
) -> None:
    """In a way that knows nothing of fingerprints: by the imports of scripts, and the modules that steps name."""

    def files_of(job: Job) -> set[str]:
        settings = re.search(r"--settings '(.*?)' --source", job.command)
        named = STEPS[job.rule].from_json(settings[1]).modules() if settings else ()
        return importable.get(job.script, set()) | {
            f"{module.partition('.')[2].replace('.', '/')}.py" for module in named
        }

    users = {job.name for job in graph if EDITS[name].module in files_of(job)}
    assert EDITS[name].jobs <= with_everything_downstream(graph, users)
