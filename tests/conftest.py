"""What several test directories share: one thread, a tiny image set, its splits and experts, a run of the recipe."""

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from certifuse.base.digests import digest_file
from certifuse.base.manifest import path_from, read_manifest, write_manifest
from certifuse.base.records import overridden
from certifuse.certificates.images.issue import Evidence
from certifuse.data.images.image_set import ImageSet, save_image_set
from certifuse.data.images.splits import make_splits, save_splits
from certifuse.models.components.files import load_component, read_header, save_component
from certifuse.steps.certify_joint import certify_joint
from certifuse.steps.certify_subspace import certify_subspace
from certifuse.steps.pretrain_expert import pretrain_expert
from certifuse.steps.train_fusion import train_fusion
from certifuse.study.cells import Cell, Finetuned, Member, SubspaceCell
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.study.settings.data import SplitSettings
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.fusion import FusionSettings
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace
from certifuse.study.steps.training import FinetuneExperts, JointTrainingFiles, PretrainExpert, TrainFusion

pytest_plugins = ["language_study"]
torch.set_num_threads(1)

TIMING_COLUMNS = ("seconds", "images_per_second")
ARCHITECTURE = {"name": "resnet", "width": 4, "blocks": [1, 1]}
EXECUTION = ExecutionSettings(threads=1, device="cpu", precision="fp32", channels_last="on", compile="off")
LIGHT_AUGMENTATION = {"crop_padding": 1, "flip": False}
NEVER_S = 1e9
MANIFEST = "cell/manifest.json"


@pytest.fixture(autouse=True)
def _process_settings_restored() -> Iterator[None]:
    """Threads, determinism and torch's global generator are as they were after every test."""
    mode, threads = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(threads)


def make_tiny_images() -> ImageSet:
    """Four classes, each a pattern of 8 x 8 grey pixels under noise: learnable, not trivial; 240 + 40 images."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(256, (4, 1, 8, 8), generator=generator)
    labels = torch.arange(280) % 4
    noise = torch.randint(256, (280, 1, 8, 8), generator=generator)
    images = (0.4 * patterns[labels] + 0.6 * noise).to(torch.uint8)
    return ImageSet(images[:240], labels[:240], images[240:], labels[240:], 4, "tiny")


@dataclass(frozen=True)
class Trained:
    """What a run of `train_fusion` left behind."""

    directory: Path
    files: JointTrainingFiles
    step: TrainFusion | FinetuneExperts

    @property
    def cell(self) -> Cell | Finetuned:
        """What was trained."""
        return self.step.cell

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV log without the columns that measure time."""
        with self.files.log_file.open(newline="") as stream:
            return [{k: v for k, v in row.items() if k not in TIMING_COLUMNS} for row in csv.DictReader(stream)]

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        found: dict[str, Any] = json.loads(self.files.manifest.read_text())
        return found

    @property
    def components(self) -> dict[str, bytes]:
        """Every component file below the run, by its relative path."""
        found = sorted(self.directory.rglob("*.safetensors"))
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in found}


@dataclass(frozen=True)
class Tiny:
    """The tiny image set as files, with two pre-trained experts."""

    root: Path
    images: Path
    splits: Path
    experts: tuple[Path, ...]

    def training_files(self, where: Path) -> dict[str, Any]:
        """The files of a training that writes below `where`, but for what its kind has beside."""
        return {
            "images": self.images,
            "splits": self.splits,
            "log_file": where / "log.csv",
            "manifest": where / "cell" / "manifest.json",
            "resume_dir": where / "resume",
            "telemetry_dir": where / "telemetry",
            "source": "test",
            "save_interval_s": NEVER_S,
        }

    def files(self, where: Path, **changes: Any) -> JointTrainingFiles:
        """The files of a joint training that writes below `where`."""
        return JointTrainingFiles(**self.training_files(where) | {"experts": self.experts} | changes)

    def pretraining_files(self, where: Path, **changes: Any) -> PretrainExpert.Files:
        """The files of the training of one expert that writes below `where`."""
        own = {"output": where / "output.safetensors"}
        return PretrainExpert.Files(**self.training_files(where) | own | changes)

    def experts_of(self, seed: int) -> tuple[Path, ...]:
        """The experts as if they had been trained with a seed, beside their manifests."""
        found = []
        for path in self.experts:
            target = self.root / f"seed_{seed}" / path.relative_to(self.root)
            about = read_header(path)["about"] | {"seed": seed}
            component = load_component(path)
            save_component(target, component.spec, component.tensors, **about)
            manifest = read_manifest(path.parent / MANIFEST)
            written = {path_from((target.parent / MANIFEST).parent, target): digest_file(target)}
            identity = manifest["identity"] | {"seed": seed}
            write_manifest(target.parent / MANIFEST, manifest | {"identity": identity, "outputs_sha256": written})
            found.append(target)
        return tuple(found)

    def fusion_step(
        self,
        fusion: str | None = "concatenation",
        lam: str = "1.0",
        seed: int = 0,
        execution: ExecutionSettings = EXECUTION,
        **changes: Any,
    ) -> TrainFusion | FinetuneExperts:
        """The settings of a short run, with changed keys of its training; without a rule those of the control."""
        defaults = FusionSettings(
            epochs=3, batch_size=16, expert_lr=1e-2, fusion_lr=1e-2, augmentation=LIGHT_AUGMENTATION
        )
        training = overridden(defaults.resolved(fusion or "concatenation"), None, **changes)
        shared: dict[str, Any] = {"architecture": ARCHITECTURE, "training": training, "execution": execution}
        if fusion is None:
            return FinetuneExperts(cell=Finetuned("resnet", seed), **shared)
        return TrainFusion(cell=Cell("resnet", fusion, lam, seed), **shared)

    def prepare(
        self,
        where: Path,
        fusion: str | None = "concatenation",
        lam: str = "1.0",
        seed: int = 0,
        files: dict[str, Any] | None = None,
        execution: ExecutionSettings = EXECUTION,
        **changes: Any,
    ) -> Trained:
        """A run that has not begun."""
        experts = {"experts": self.experts_of(seed)} if seed else {}
        step_files = self.files(where, **experts | (files or {}))
        step = self.fusion_step(fusion, lam, seed, execution, **changes)
        return Trained(step_files.manifest.parent, step_files, step)

    def train(self, where: Path, **choices: Any) -> Trained:
        """Run the recipe to its end; see `prepare`."""
        run = self.prepare(where, **choices)
        train_fusion(run.step, run.files)
        return run


@pytest.fixture(scope="session")
def tiny_images() -> ImageSet:
    """See `make_tiny_images`."""
    return make_tiny_images()


def make_tiny(root: Path, epochs: int = 2, **shares: float) -> Tiny:
    """Images, splits with two experts and these further shares, and the experts."""
    images = make_tiny_images()
    save_image_set(images, root / "images.safetensors")
    split = SplitSettings(experts=2, shared_fraction=0.2, unique_fraction=0.4, **shares)
    save_splits(make_splits(images, split), root / "splits.safetensors")
    made = Tiny(root, root / "images.safetensors", root / "splits.safetensors", ())
    experts = []
    for index in range(2):
        where = root / f"expert_{index}"
        files = made.pretraining_files(where, output=where / f"expert_{index}_best.safetensors")
        training = ExpertTraining(epochs=epochs, batch_size=16, lr=0.05, augmentation=LIGHT_AUGMENTATION)
        member = Member("resnet", 0, f"expert_{index}")
        pretrain_expert(
            PretrainExpert(cell=member, architecture=ARCHITECTURE, training=training, execution=EXECUTION), files
        )
        experts.append(files.output)
    return replace(made, experts=tuple(experts))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Images, splits (two experts, 72 fusion and 24 validation images) and experts, made once."""
    return make_tiny(tmp_path_factory.mktemp("tiny"), fusion_fraction=0.4, validation_fraction=0.25)


def with_manifests(experts: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Experts with the manifests of their trainings."""
    return [(path, path.parent / MANIFEST) for path in experts]


@dataclass(frozen=True)
class Certified:
    """A study with 40 images that nothing looks at: two experts, a joint training of them, and both certificates."""

    tiny: Tiny
    subspace: Path
    joint: Path

    @property
    def experts(self) -> list[tuple[Path, Path]]:
        """The pre-trained experts with their manifests."""
        return with_manifests(self.tiny.experts)

    def step(self, dim: int = 8, seed: int = 0, **changes: Any) -> CertifySubspace:
        """The settings of a short training in a subspace; `changes` are keys of the training."""
        training = SubspaceTraining(epochs=3, quantised_epochs=2, batch_size=16, lr=1.0, quantised_lr=0.3)
        return CertifySubspace(
            cell=SubspaceCell("resnet", "concatenation", "1.0", seed, dim),
            delta=0.1,
            levels=(3, 5),
            training=overridden(training, None, **changes),
            fusion=self.tiny.fusion_step().training,
            execution=EXECUTION,
        )

    def evidence(self, **changes: Any) -> Evidence:
        """What the certificates of this study rest on."""
        evidence = Evidence(self.tiny.images, self.tiny.splits, self.experts, 0.1, 1, "test")
        return replace(evidence, **changes)

    def files(self, where: Path, seed: int = 0, **changes: Any) -> CertifySubspace.Files:
        """The files of a certification that writes below `where`."""
        experts = self.tiny.experts_of(seed) if seed else self.tiny.experts
        own = {"output": where, "manifest": where / "manifest.json", "experts": experts}
        own["expert_manifests"] = tuple(path.parent / MANIFEST for path in experts)
        return CertifySubspace.Files(**self.tiny.training_files(where) | own | changes)

    def joint_files(self, components: Path, output: Path, **changes: Any) -> CertifyJoint.Files:
        """The files of the certification of a jointly trained model."""
        own = {name: getattr(self.files(output), name) for name in ("images", "splits", "experts", "expert_manifests")}
        return CertifyJoint.Files(**own | {"components": components, "output": output, "source": "test"} | changes)

    def certify(
        self, where: Path, dim: int = 8, seed: int = 0, files: CertifySubspace.Files | None = None, **changes: Any
    ) -> Path:
        """Train in a subspace, and certify; the directory with one certificate per number of levels."""
        files = files or self.files(where, seed)
        certify_subspace(self.step(dim, seed, **changes), files)
        return files.output

    def copy(self, root: Path) -> "Certified":
        """A copy of all files, to damage."""
        shutil.copytree(self.tiny.root, root, dirs_exist_ok=True)

        def there(path: Path) -> Path:
            return root / path.relative_to(self.tiny.root)

        tiny = Tiny(root, there(self.tiny.images), there(self.tiny.splits), tuple(map(there, self.tiny.experts)))
        return Certified(tiny, there(self.subspace), there(self.joint))


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    """See `Certified`. Made once: not to be changed, but for a `copy`."""
    root = tmp_path_factory.mktemp("certified")
    tiny = make_tiny(root, epochs=40, fusion_fraction=0.5, validation_fraction=0.2, certificate_fraction=1 / 3)
    study = Certified(tiny, root / "subspace" / "levels_3", root / "joint")
    study.certify(root / "subspace")
    trained = tiny.train(root / "trained", epochs=2)
    cell = Cell("resnet", "concatenation", "1.0", 0)
    certify_joint(
        CertifyJoint(cell=cell, delta=0.1, levels=9, threads=1), study.joint_files(trained.directory, study.joint)
    )
    return study
