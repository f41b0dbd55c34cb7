"""A study that is killed again and again, the same one left alone, and digests of everything in their results."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kill_points import Strike

from certifuse.base.manifest import SEAL
from certifuse.base.tensors import read_facts
from certifuse.training.loop.resume import KIND

HERE = Path(__file__).parent
STUDY = HERE / "study.yaml"
FEW = (
    "results/figures/lambda_ablation.png",
    "results/certificates/resnet_concatenation_lambda_1.0/seed_0/d_4/levels_3/certificate.json",
    "results/sublora/d_32_learned_seed_0/levels_3/certificate.json",
)
"""What the short form makes: every kind of training and certificate, an evaluation, a figure."""
ALL = (
    *FEW,
    "results/certificates/resnet_concatenation_lambda_1.0/seed_0/joint/certificate.json",
    "results/figures/certified_vs_dimension.png",
    "results/figures/sublora/learned_gating_heatmap_d32.png",
    "results/tables/tables.tex",
    "results/tables/certificate_tables.tex",
    "results/tables/sublora/sublora_tables.tex",
)
ROUND_LIMIT_S = 1200.0

MEASURED = {
    *("seconds", "images_per_second", "tokens_per_s", "training_wall_s", "wall_s", "scoring_wall_s", "epoch_s"),
    *("peak_memory_bytes", "started", "finished", "resumed_after_epochs"),
    *("training_min", "training_of_one_expert", "top1_percent_per_min"),
}
"""Columns and keys that measure time or memory, or say how often a training was resumed."""
NOT_RESULTS = {"logs", "benchmarks"}
TIMES = "training_costs.tex"
"""A table of measured times; what it says without them is compared in its CSV file."""
SEALS = ("sha256", SEAL)
"""Keys by which a certificate and a manifest hold the digest of all of themselves, measured values too."""
DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Struck:
    """A strike that has struck, and the epochs that were stored then, which need not be repeated."""

    strike: Strike
    stored_epochs: int | None


class Killed:
    """A copy of the study in which strikes wait for the steps."""

    def __init__(self, tree: Any, targets: Sequence[str], strikes: Sequence[Strike]) -> None:
        self.tree, self.targets, self.strikes = tree, targets, strikes
        self.struck: dict[int, Struck] = {}
        self.rounds = 0
        own = tree.root / "strike"
        own.mkdir()
        shutil.copy2(HERE / "strike.py", own / "sitecustomize.py")
        tree.variables["PYTHONPATH"] = os.pathsep.join([str(own), str(tree.root / "lib")])
        self.waiting = tree.root / "strikes"
        self.waiting.mkdir()
        for number, strike in enumerate(strikes):
            (self.waiting / f"{number:03}.json").write_text(json.dumps(asdict(strike)), encoding="utf-8")
        tree.variables["STRIKES"] = str(self.waiting)

    @property
    def results(self) -> Path:
        return Path(self.tree.root / "results")

    def finish(self) -> None:
        """Give the same command until it succeeds, with `--unlock` in between where Snakemake itself was killed."""
        done = make(self.tree, self.targets)
        while done.returncode != 0:
            self.rounds += 1
            before = len(self.struck)
            self._note_struck()
            assert len(self.struck) > before, done.stdout + done.stderr
            if done.returncode == -signal.SIGKILL:
                unlocked = self.tree.snakemake("--unlock")
                assert unlocked.returncode == 0, unlocked.stderr
            done = make(self.tree, self.targets)
        assert not list(self.waiting.glob("*.json")), "a moment never came"

    def _note_struck(self) -> None:
        for path in self.waiting.glob("*.struck"):
            number = int(path.stem)
            if number not in self.struck:
                strike = self.strikes[number]
                self.struck[number] = Struck(strike, self._stored_epochs(strike))

    def _stored_epochs(self, strike: Strike) -> int | None:
        """Epochs in the newest states of a training; None where there are no epochs."""
        if strike.resume is None:
            return None
        epochs: dict[Path, int] = {}
        for path in (self.results / ".resume" / strike.resume).rglob("[!.]*.safetensors"):
            rows = len(json.loads(read_facts(path, KIND)["progress"])["rows"])
            epochs[path.parent] = max(rows, epochs.get(path.parent, 0))
        return sum(epochs.values())


def make(tree: Any, targets: Sequence[str]) -> Any:
    """The command that is given every time; a state is stored after every epoch."""
    return tree.run("snakemake", "--retries", "0", "--keep-going", "--cores", "2", *targets, timeout_s=ROUND_LIMIT_S)


def new_tree(sources: Any, root: Path) -> Any:
    tree = sources.copy(root)
    tree.write_config(yaml.safe_load(STUDY.read_text(encoding="utf-8")))
    tree.variables["CERTIFUSE_SAVE_INTERVAL_S"] = "0"
    return tree


# ---- what is equal -----------------------------------------------------------------------------------


def digests(results: Path) -> dict[str, str]:
    """SHA-256 of every file of a study but its logs, without what measures time or memory.

    A digest of a file that stands in another one, such as that of a manifest in a certificate, stands for what the file
    says: it is replaced by the digest that is computed here.
    """
    files = [path for path in results.rglob("*") if path.is_file()]
    files = [path for path in files if path.relative_to(results).parts[0] not in NOT_RESULTS]
    by_digest = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files}
    known: dict[Path, str] = {}

    def digest_of(path: Path) -> str:
        if path not in known:
            known[path] = hashlib.sha256(_without_measured(path, referred)).hexdigest()
        return known[path]

    def referred(found: re.Match[str]) -> str:
        return digest_of(by_digest[found[0]]) if found[0] in by_digest else found[0]

    return {str(path.relative_to(results)): digest_of(path) for path in sorted(files)}


def _without_measured(path: Path, referred: Callable[[re.Match[str]], str]) -> bytes:
    data = path.read_bytes()
    if path.name == TIMES:
        return TIMES.encode()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        return repr([{key: row[key] for key in row if key not in MEASURED} for row in rows]).encode()
    if path.suffix == ".json":
        content = json.loads(data)
        for seal in SEALS:
            content.pop(seal, None)
        return DIGEST.sub(referred, json.dumps(_plain(content), sort_keys=True)).encode()
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if key not in MEASURED}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


# ---- fixtures ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def undisturbed(sources: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[str]], Path]:
    """`undisturbed(targets)`: the results of the study that nobody disturbed."""
    made: dict[Sequence[str], Path] = {}

    def of(targets: Sequence[str]) -> Path:
        if targets not in made:
            tree = new_tree(sources, tmp_path_factory.mktemp("undisturbed"))
            done = make(tree, targets)
            assert done.returncode == 0, done.stdout + done.stderr
            made[targets] = Path(tree.root / "results")
        return made[targets]

    return of


@pytest.fixture(scope="session")
def killed(
    sources: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[str], Sequence[Strike]], Killed]:
    """`killed(targets, strikes)`: the study under these strikes, finished in the end."""

    def finish(targets: Sequence[str], strikes: Sequence[Strike]) -> Killed:
        study = Killed(new_tree(sources, tmp_path_factory.mktemp("killed")), targets, strikes)
        study.finish()
        return study

    return finish


@pytest.fixture(scope="session")
def few() -> tuple[str, ...]:
    """See `FEW`."""
    return FEW


@pytest.fixture(scope="session")
def all_of_it() -> tuple[str, ...]:
    """See `ALL`."""
    return ALL


@pytest.fixture(scope="session")
def digest_results() -> Callable[[Path], dict[str, str]]:
    """See `digests`."""
    return digests
