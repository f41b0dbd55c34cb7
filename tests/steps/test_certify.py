"""Certificates of a tiny study: every number again by hand, the same bits again, and what is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from by_hand import ByHand, beta_limit, counted, wrong

from certifuse.base.errors import UserError
from certifuse.base.files import write_json
from certifuse.base.manifest import read_manifest, write_manifest
from certifuse.base.rows import read_rows
from certifuse.certificates.coding.codec import decode
from certifuse.certificates.images.certificate import read_certificate
from certifuse.certificates.images.verify import verify_certificate
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits, make_splits, save_splits
from certifuse.models.components.assembly import load_network
from certifuse.models.compute.device_images import DeviceImages
from certifuse.steps import pretrain_expert as pretraining
from certifuse.steps.certify_joint import certify_joint
from certifuse.steps.gather_certificates import gather_certificates
from certifuse.study import paths
from certifuse.study.cells import Cell, Member, SubspaceCell
from certifuse.study.paths import BITSTREAM_FILE
from certifuse.study.settings.data import SplitSettings
from certifuse.study.steps.certificates import CertifyJoint
from certifuse.study.steps.gathering import GatherCertificates, GatheringFiles
from certifuse.study.steps.training import PretrainExpert
from certifuse.training.loop import loop

# ---- by value --------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [3, 5])
def test_a_certificate_equals_a_recount_by_hand(certified, levels):
    directory = certified.subspace.parent / f"levels_{levels}"
    certificate = read_certificate(directory)
    coded = decode((directory / BITSTREAM_FILE).read_bytes())
    by_hand = ByHand.of(certified)
    samples = ("fusion", "certificate", "test")
    prior = {sample: by_hand.wrong(sample) for sample in samples}
    by_hand.move(coded.codebook.centroids[coded.symbols])
    model = {sample: by_hand.wrong(sample) for sample in samples}

    assert certificate.counts.plain() == counted(prior["fusion"], model["fusion"])
    assert certificate.counts.worse > 0, "else the test would not see P"
    for recorded, found in (
        (certificate.held_out, model["certificate"]),
        (certificate.held_out_prior, prior["certificate"]),
        (certificate.test, model["test"]),
        (certificate.test_prior, prior["test"]),
    ):
        assert (recorded.examples, recorded.errors) == (len(found), sum(found))
    assert certificate.held_out_claim.bound == pytest.approx(beta_limit(sum(model["certificate"]), 40, 0.1), abs=1e-9)
    assert certificate.prior_claim.bound == pytest.approx(beta_limit(sum(prior["fusion"]), 56, 0.1), abs=1e-9)
    assert certificate.ledger == {charge.name: charge.bits for charge in coded.charges}
    assert certificate.code_bits == sum(certificate.ledger.values())
    assert (certificate.kind, certificate.held_out_model) == ("subspace", "decoded")
    identity = {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0}
    assert certificate.identity == identity | {"d": 8, "levels": levels}


def test_another_vector_would_not_give_the_counts(certified):
    """Negative control of the recount."""
    coded = decode((certified.subspace / BITSTREAM_FILE).read_bytes())
    by_hand = ByHand.of(certified)
    prior = by_hand.wrong("fusion")
    by_hand.move(-coded.values)
    assert counted(prior, by_hand.wrong("fusion")) != read_certificate(certified.subspace).counts.plain()


def test_the_joint_certificate_is_the_exact_limit_on_images_that_nothing_touched(certified):
    certificate = read_certificate(certified.joint)
    images, splits = load_image_set(certified.tiny.images), load_splits(certified.tiny.splits)
    *experts, fusion, head = [certified.joint / file.path for file in certificate.components]
    network = load_network(experts, fusion, head).eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in (splits.mean, splits.std))
    indices = splits.certificate
    with torch.no_grad():
        logits_NK = network((images.train_images[indices] / 255 - mean) / std).global_logits_NK
    errors = sum(wrong(logits_NK, images.train_labels[indices]))
    assert (certificate.held_out.examples, certificate.held_out.errors) == (len(indices), errors) == (40, errors)
    assert certificate.held_out_claim.bound == pytest.approx(beta_limit(errors, 40, 0.1), abs=1e-9)
    assert (certificate.kind, certificate.held_out_model) == ("joint", "components")
    assert certificate.claim.bound == 1.0, "so many bits on so few images say nothing"
    size = sum(parameter.numel() for parameter in network.parameters())
    assert certificate.identity["d"] == certificate.model.projector.ambient_dim == size
    assert certificate.code_bits > size


def test_without_a_certificate_set_there_is_no_held_out_claim(certified, tiny, tmp_path):
    study = replace(certified, tiny=tiny)
    certificate = read_certificate(study.certify(tmp_path) / "levels_3")
    kept = (certificate.held_out, certificate.held_out_claim, certificate.held_out_prior)
    assert kept == (None, None, None)
    assert certificate.held_out_prior_claim is None
    assert certificate.counts.examples == 72
    assert certificate.claim.bound <= 1.0


# ---- the same again --------------------------------------------------------------------------------


def written(directory) -> dict[str, bytes]:
    """Bitstreams, and certificates without the environment and what depends on the place."""
    found = {}
    for levels in (3, 5):
        where = directory / f"levels_{levels}"
        found[f"bitstream {levels}"] = (where / BITSTREAM_FILE).read_bytes()
        plain = read_certificate(where).plain()
        for key in ("environment", "experts", "images", "splits"):
            del plain[key]
        found[f"certificate {levels}"] = json.dumps(plain, sort_keys=True).encode()
    return found


def test_training_twice_writes_the_same_bits(certified, tmp_path):
    first = written(certified.subspace.parent)
    assert written(certified.certify(tmp_path / "again")) == first
    other = written(certified.certify(tmp_path / "other", seed=1))
    assert other["bitstream 3"] != first["bitstream 3"], "negative control: another seed"
    lower = written(certified.certify(tmp_path / "lower", lr=0.5))
    assert lower["bitstream 5"] != first["bitstream 5"], "negative control: another rate"


class CutOffError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("rows_written", [2, 6, 9])
def test_a_run_that_is_cut_off_ends_as_the_uninterrupted_one(certified, tmp_path, monkeypatch, rows_written):
    """In the second epoch at full precision, and in that at each number of levels."""
    files = certified.files(tmp_path, save_interval_s=0.0)
    write, calls = loop.write_rows, []

    def failing(path, rows):
        calls.append(path)
        if len(calls) == rows_written:
            raise CutOffError
        write(path, rows)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", failing)
        with pytest.raises(CutOffError):
            certified.certify(tmp_path, files=files)
    assert not (tmp_path / "levels_3").exists()
    assert any(files.resume_dir.rglob("*.safetensors"))
    assert written(certified.certify(tmp_path, files=files)) == written(certified.subspace.parent)
    assert not list(files.resume_dir.rglob("*.safetensors"))


# ---- independence ----------------------------------------------------------------------------------


def rows_of(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_no_fusion_or_certificate_image_enters_the_training_of_an_expert(certified, tmp_path, monkeypatch):
    """By the bytes of every image that any batch was made of, in training and in the choice of the epoch."""
    images, splits = load_image_set(certified.tiny.images), load_splits(certified.tiny.splits)
    seen: set[bytes] = set()
    original = DeviceImages.batch

    def recorded(self, indices):
        seen.update(rows_of(self.images[indices]))
        return original(self, indices)

    monkeypatch.setattr(DeviceImages, "batch", recorded)
    step = certified.tiny.fusion_step()
    expert = PretrainExpert(
        cell=Member("resnet", 0, "expert_1"),
        architecture=step.architecture,
        training={"epochs": 1, "batch_size": 16},
        execution=step.execution,
    )
    pretraining.pretrain_expert(expert, certified.tiny.pretraining_files(tmp_path))
    own = rows_of(images.train_images[splits.experts[1]]) | rows_of(images.train_images[splits.validation])
    assert seen <= own
    assert len(seen) > 0.8 * len(own), "all but a last batch that is not full"
    for name in ("fusion", "certificate"):
        assert not seen & rows_of(images.train_images[splits.named()[name]])
    assert not seen & rows_of(images.test_images)


def test_certificate_and_test_images_are_seen_only_once_a_bitstream_is_written(certified, tmp_path, monkeypatch):
    images, splits = load_image_set(certified.tiny.images), load_splits(certified.tiny.splits)
    reserved = rows_of(images.train_images[splits.certificate]) | rows_of(images.test_images)
    original, before, after = DeviceImages.batch, set(), set()

    def recorded(self, indices):
        on_disk = (tmp_path / "levels_3" / BITSTREAM_FILE).exists()
        (after if on_disk else before).update(rows_of(self.images[indices]))
        return original(self, indices)

    monkeypatch.setattr(DeviceImages, "batch", recorded)
    certified.certify(tmp_path)
    assert not before & reserved
    assert after >= reserved
    assert before == rows_of(images.train_images[splits.fusion]) | rows_of(images.train_images[splits.validation])


def edited(study, change) -> list:
    """The experts of a copy of the study, with a changed manifest of the second."""
    manifest_file = study.experts[1][1]
    manifest = read_manifest(manifest_file)
    change(manifest)
    write_manifest(manifest_file, manifest)
    return study.experts


def unsealed(study) -> None:
    """Change the manifest of the second expert in one figure, without its digest."""
    manifest_file = study.experts[1][1]
    changed = json.loads(manifest_file.read_text())
    manifest_file.write_text(json.dumps(changed | {"epoch": changed["epoch"] + 1}))


def other_splits(study) -> None:
    images = load_image_set(study.tiny.images)
    settings = SplitSettings(
        seed=7, experts=2, shared_fraction=0.2, unique_fraction=0.4, fusion_fraction=0.5, validation_fraction=0.2,
        certificate_fraction=1 / 3,
    )  # fmt: skip
    save_splits(make_splits(images, settings), study.tiny.splits)


REFUSED = {
    "other splits": (other_splits, "trained with splits of SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}"),
    "other images": (
        lambda study: edited(study, lambda manifest: manifest["data_sha256"].update(images=["0" * 64])),
        "trained with images of SHA-256 0{64}, expected",
    ),
    "another component": (
        lambda study: shutil.copy(study.tiny.experts[0], study.tiny.experts[1]),
        "expert_1_best.safetensors: expected SHA-256 [0-9a-f]{64} as in .*, found",
    ),
    "trained on the fusion images": (
        lambda study: edited(study, lambda manifest: manifest["identity"].update(member="fusion")),
        "expected a model trained as .*'expert_1', found .*'fusion'",
    ),
    "the single model, which knows the fusion images": (
        lambda study: edited(study, lambda manifest: manifest["identity"].update(member="single")),
        "found .*'single'",
    ),
    "a manifest without inputs": (
        lambda study: edited(study, lambda manifest: manifest.pop("inputs_sha256")),
        "expected the manifest of a training by the rule pretrain_expert",
    ),
    "the manifest of another rule": (
        lambda study: edited(study, lambda manifest: manifest.update(step="finetune_experts")),
        "expected the manifest of a training by the rule pretrain_expert",
    ),
    "a changed manifest": (unsealed, "expected the manifest of a run, found none or a damaged one"),
    "a manifest without its digest": (
        lambda study: write_json(study.experts[1][1], read_manifest(study.experts[1][1])),
        "expected the manifest of a run, found none or a damaged one",
    ),
    "no manifest": (lambda study: study.experts[1][1].unlink(), "manifest.json: expected a file, found none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_experts_that_may_know_the_sample_are_refused_before_any_training(certified, tmp_path, monkeypatch, case):
    study = certified.copy(tmp_path / "study")
    study.evidence().check_independence(study.step().cell.names())
    change, message = REFUSED[case]
    change(study)
    monkeypatch.setattr("certifuse.steps.certify_subspace.train_in_subspace", lambda *_: pytest.fail("trained"))
    with pytest.raises(UserError, match=message) as raised:
        study.certify(tmp_path / "new")
    assert "\n" not in str(raised.value)


def without_expert_0(manifest) -> None:
    """As if the model had been trained from another expert."""
    (name,) = (name for name in manifest["inputs_sha256"] if name.endswith("/expert_0_best.safetensors"))
    manifest["inputs_sha256"][name] = "0" * 64


JOINT_REFUSED = {
    "other images": (lambda m: m["data_sha256"].update(images=["0" * 64]), "trained with images of SHA-256 0{64}"),
    "other splits": (lambda m: m["data_sha256"].update(splits=["0" * 64]), "trained with splits of SHA-256 0{64}"),
    "two sets of images": (
        lambda m: m["data_sha256"]["images"].append("0" * 64),
        "trained with images of SHA-256 [0-9a-f]{64} and 0{64}",
    ),
    "other experts": (without_expert_0, "expected a model trained from .*expert_0_best.safetensors, SHA-256 .*, found"),
    "continued": (lambda m: m["initial_components"].append("1" * 64), r"continues from components \(SHA-256 1{64}\)"),
    "other components": (lambda m: m["outputs_sha256"].clear(), "expected SHA-256 None as in"),
    "no record": (lambda m: m.pop("initial_components"), "expected the manifest of a training"),
    "another rule": (
        lambda m: m.update(step="pretrain_expert"),
        "expected the manifest of a training by the rule train",
    ),
}


@pytest.mark.parametrize("case", JOINT_REFUSED)
def test_a_joint_model_of_unknown_history_is_refused(certified, tmp_path, case):
    """What it was trained from and on decides whether the certificate images are untouched."""
    study = certified.copy(tmp_path / "study")
    change, message = JOINT_REFUSED[case]
    trained = study.tiny.root / "trained" / "cell"
    manifest = read_manifest(trained / paths.MANIFEST_FILE)
    change(manifest)
    write_manifest(trained / paths.MANIFEST_FILE, manifest)
    step = CertifyJoint(cell=Cell("resnet", "concatenation", "1.0", 0), delta=0.1, levels=9, threads=1)
    with pytest.raises(UserError, match=message) as raised:
        certify_joint(step, study.joint_files(trained, tmp_path / "certificate"))
    assert "\n" not in str(raised.value)


def test_averaged_experts_are_no_joint_model(certified, tmp_path):
    (tmp_path / "experts").mkdir()
    shutil.copy(certified.tiny.experts[0], tmp_path / "experts")
    step = CertifyJoint(cell=Cell("resnet", "concatenation", "1.0", 0), delta=0.1, levels=9, threads=1)
    with pytest.raises(UserError, match="expected a fusion module and a global head among them"):
        certify_joint(step, certified.joint_files(tmp_path, tmp_path))


@pytest.mark.parametrize(("key", "value", "message"), [("dim", 10**7, "choose a smaller d")])
def test_a_subspace_that_does_not_fit_is_one_line(certified, tmp_path, key, value, message):
    with pytest.raises(UserError, match=message) as raised:
        certified.certify(tmp_path, **{key: value})
    assert "\n" not in str(raised.value)


# ---- gathering -------------------------------------------------------------------------------------


@pytest.fixture
def gathered(certified, tmp_path):
    """The tables over both certificates in a subspace, the joint one and one of another seed that is missing."""
    cells = tuple(Cell("resnet", "concatenation", "1.0", seed) for seed in (0, 1))
    trained = tuple(SubspaceCell(*cell, 8) for cell in cells)
    step = GatherCertificates(scheme="iid", levels=(3, 5), subspace=tuple(trained), joint=tuple(cells))
    for levels in (3, 5):
        target = tmp_path / paths.SUBSPACE_DIR.format(**trained[0].names()) / paths.LEVELS_DIR.format(levels=levels)
        shutil.copytree(certified.subspace.parent / f"levels_{levels}", target)
    shutil.copytree(certified.joint, tmp_path / paths.JOINT_CERTIFICATE_DIR.format(**cells[0].names()))
    gather_certificates(step, GatheringFiles(results_dir=tmp_path, source="test"))
    return {name: read_rows(tmp_path / name) for name in (paths.CERTIFICATES, paths.LEDGERS)} | {
        "missing": read_rows(tmp_path / paths.MISSING_CERTIFICATES)
    }


def test_gathered_rows_say_what_the_certificates_say(certified, gathered):
    prior, joint, *subspace = gathered[paths.CERTIFICATES]
    assert [row["kind"] for row in (prior, joint, *subspace)] == ["prior", "joint", "subspace", "subspace"]
    for row, levels in zip(subspace, (3, 5), strict=True):
        certificate = read_certificate(certified.subspace.parent / f"levels_{levels}")
        assert (row["scheme"], row["lambda"], row["seed"], row["d"]) == ("iid", "1.0", "0", "8")
        assert int(row["levels"]) == levels
        for name, value in certificate.counts.plain().items():
            assert int(row[name]) == value
        assert float(row["risk_percent"]) == pytest.approx(100 * certificate.counts.errors / 56)
        assert float(row["bound_percent"]) == pytest.approx(100 * certificate.claim.bound)
        assert float(row["code_bits"]) == certificate.code_bits
        for name, bound in certificate.claim.bounds.items():
            assert float(row[f"bound_{name}_percent"]) == pytest.approx(100 * bound)
        assert float(row["held_out_percent"]) == pytest.approx(100 * certificate.held_out.errors / 40)
        assert float(row["held_out_bound_percent"]) == pytest.approx(100 * certificate.held_out_claim.bound)
        assert float(row["test_percent"]) == pytest.approx(100 * certificate.test.errors / 40)
        charged = [r for r in gathered[paths.LEDGERS] if (r["kind"], r["levels"]) == ("subspace", str(levels))]
        assert {r["charge"]: float(r["bits"]) for r in charged} == certificate.ledger


def test_the_row_of_the_prior_is_the_average_and_not_the_fresh_head_of_the_joint_model(certified, gathered):
    prior, average = gathered[paths.CERTIFICATES][0], read_certificate(certified.subspace)
    fresh = read_certificate(certified.joint)
    assert fresh.counts.prior_errors != average.counts.prior_errors
    assert (prior["fusion"], prior["lambda"], prior["d"], prior["levels"]) == ("", "", "0", "0")
    assert int(prior["errors"]) == int(prior["prior_errors"]) == average.counts.prior_errors
    assert (float(prior["code_bits"]), int(prior["worse"]), int(prior["better"])) == (0.0, 0, 0)
    assert float(prior["bound_percent"]) == pytest.approx(100 * beta_limit(average.counts.prior_errors, 56, 0.1))
    assert int(prior["held_out_errors"]) == average.held_out_prior.errors
    assert int(prior["test_errors"]) == average.test_prior.errors


def test_missing_certificates_are_listed(gathered):
    names = [tuple(row[key] for key in ("kind", "seed", "d", "levels")) for row in gathered["missing"]]
    assert names == [("joint", "1", "", ""), ("subspace", "1", "8", "3"), ("subspace", "1", "8", "5")]
    assert {row["reason"] for row in gathered["missing"]} == {"no certificate was written"}


# ---- a start at the average ------------------------------------------------------------------------


def test_a_model_that_corrects_the_average_is_certified_jointly_from_that_average(certified, tmp_path):
    """Its prior is the average of the experts, whose head is zeros: none of its bits pay for a guess."""
    study = certified.copy(tmp_path / "study")
    run = study.tiny.train(tmp_path / "study" / "run", fusion="averagePlusConcatenation", epochs=2)
    step = CertifyJoint(cell=run.cell, delta=0.1, levels=9, threads=1)
    files = study.joint_files(run.directory, tmp_path / "study" / "joint_of_average")
    certify_joint(step, files)
    certificate = verify_certificate(files.output)
    average = read_certificate(study.subspace)
    assert certificate.counts.prior_errors == average.counts.prior_errors
