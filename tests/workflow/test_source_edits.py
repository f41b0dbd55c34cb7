"""An edited function of the library reruns exactly its users, and what needs their results."""

from typing import Any

import pytest
from job_graph import graph_of, with_everything_downstream
from script_modules import LIBRARY, SCRIPTS, by_bytecode
from tree_changes import edited

from certifuse.base import fingerprint as provenance

MODULES = sorted(
    path.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py"
)
EDITS = {
    "training/losses.py": ("(1 - label_smoothing)", "(1 - 2 * label_smoothing)"),
    "models/fusion.py": ("weights_E.softmax(dim=0)", "weights_E.sigmoid()"),
    "bounds/range_code.py": ('"0" * (2 * WORD)', '"1" * (2 * WORD)'),
    "reporting/reliability.py": ("0.03 + 0.065 * place", "0.04 + 0.065 * place"),
    "evaluation/calibration.py": ("np.nansum(reliability.count * gap_B)", "np.nansum(gap_B)"),
    "training/language.py": ("len(batch.inputs_BC)", "len(batch.targets_BC)"),
    "data/augmentation.py": ("images_NCHW.flip(3)", "images_NCHW.flip(2)"),
    "data/corpus.py": ('f"document {index} of {len(self)}"', '"no such document"'),
}


@pytest.fixture(scope="module")
def used() -> dict[str, set[str]]:
    """The library files of every script, by its bytecode."""
    return {script.name: by_bytecode(script) for script in SCRIPTS}


def fingerprints() -> dict[str, str]:
    return {script.name: provenance.source_fingerprint(script) for script in SCRIPTS}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return fingerprints()


@pytest.mark.parametrize("module", MODULES)
def test_another_module_changes_the_fingerprints_of_its_users_alone(
    monkeypatch: pytest.MonkeyPatch, used: dict[str, set[str]], before: dict[str, str], module: str
) -> None:
    read = provenance._read_module

    def as_if_edited(path: Any) -> Any:
        digest, imported = read(path)
        return ("edited" if path == LIBRARY / module else digest), imported

    monkeypatch.setattr(provenance, "_read_module", as_if_edited)
    after = fingerprints()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name, files in used.items() if module in files}


@pytest.fixture(scope="module")
def edited_plans(recorded: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each edit brings in the embedded study."""

    def plan(module: str) -> set[str]:
        tree = recorded.copy(tmp_path_factory.mktemp("edited"))
        edited(f"lib/certifuse/{module}", *EDITS[module])(tree)
        return set(tree.planned("--configfile", "embedded.yaml"))

    return in_parallel(plan, {module: (module,) for module in EDITS})


@pytest.fixture(scope="module")
def graph(recorded: Any) -> Any:
    """Every job of the embedded study."""
    return graph_of(recorded.snakemake("-n", "-p", "--forceall", "--configfile", "embedded.yaml").stdout)


@pytest.mark.slow
@pytest.mark.parametrize("module", EDITS)
def test_an_edited_function_reruns_its_users_alone(
    edited_plans: Any, graph: Any, used: dict[str, set[str]], module: str
) -> None:
    users = {job.name for job in graph if job.script and module in used[job.script]}
    assert users
    expected = with_everything_downstream(graph, users)
    assert edited_plans[module].result() == expected
    assert len(expected) < len(graph), "some jobs do not use it"
