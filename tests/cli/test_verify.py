"""`certifuse verify`: what it prints, what it refuses, and with which status."""

import math
import re
import shutil

import pytest

from certifuse.certificates.images.certificate import read_certificate
from certifuse.cli.main import main
from certifuse.evaluation.bounds.rounding import upper
from certifuse.study.paths import CERTIFICATE_FILE


def test_a_line_for_a_certificate(certified, certifuse):
    code, out, err = certifuse("verify", certified.subspace)
    claim, held_out = read_certificate(certified.subspace).claim, read_certificate(certified.subspace).held_out_claim
    said = re.fullmatch(
        r"(.+): verified: error at most ([0-9.]+) % with 90 % confidence \((\w+)\), on new images with the classes in "
        r"the proportions of the sample; ([0-9.]+) % on its 56 images, ([0-9]+) bits; at most ([0-9.]+) % by untouched "
        r"images\n"
        r"on trust: .*split seed 42.*\n",
        out,
    )
    assert (code, err) == (0, "")
    assert said is not None, out
    assert said[1] == str(certified.subspace)
    assert said[2] == upper(claim.bound, 2, 100)
    assert said[3] == claim.inequality
    assert math.isclose(float(said[4]), 100 * claim.risk, abs_tol=0.005)
    assert float(said[5]) == read_certificate(certified.subspace).code_bits
    assert said[6] == upper(held_out.bound, 2, 100)


def test_a_certificate_that_says_nothing_is_called_vacuous(certified, certifuse, certifuse_json):
    assert (
        "error at most 100.00 % with 90 % confidence (binomial), which is vacuous"
        in certifuse("verify", certified.joint)[1]
    )
    assert [row["vacuous"] for row in certifuse_json("verify", certified.tiny.root)] == [True, False, False]


def test_every_certificate_below_a_directory(certified, certifuse):
    code, out, _ = certifuse("verify", certified.tiny.root)
    *names, trust = [line.split(": ")[0] for line in out.splitlines()]
    assert (code, trust) == (0, "on trust")
    assert names == sorted(map(str, (certified.joint, certified.subspace, certified.subspace.parent / "levels_5")))


def test_json(certified, certifuse_json):
    rows = certifuse_json("verify", certified.tiny.root)
    assert [row["kind"] for row in rows] == ["joint", "subspace", "subspace"]
    assert {row["verified"] for row in rows} == {True}
    assert all("split seed 42" in " ".join(row["on_trust"]) for row in rows)
    first = rows[1]
    certificate = read_certificate(certified.subspace)
    assert first["directory"] == str(certified.subspace)
    assert (first["architecture"], first["lambda"], first["d"], first["levels"]) == ("resnet", "1.0", 8, 3)
    assert (first["bound"], first["inequality"]) == (certificate.claim.bound, certificate.claim.inequality)
    assert (first["risk"], first["code_bits"], first["delta"]) == (certificate.claim.risk, certificate.code_bits, 0.1)
    assert first["prior_bound"] == certificate.prior_claim.bound
    assert first["held_out_bound"] == certificate.held_out_claim.bound


def test_a_difference_is_one_line_and_status_two(certified, tmp_path, refused):
    study = certified.copy(tmp_path / "study")
    bitstream = study.subspace / "model.cfqv"
    bitstream.write_bytes(bitstream.read_bytes()[:-1])
    line = refused("verify", study.subspace)
    assert line.startswith(f"error: {study.subspace}: not verified: {bitstream}: the certificate says ")


def test_the_first_difference_stops(certified, tmp_path, certifuse):
    """What was verified before is printed; what comes after is not."""
    study = certified.copy(tmp_path / "study")
    (study.subspace / CERTIFICATE_FILE).write_text("{}")
    code, out, err = certifuse("verify", study.tiny.root)
    assert code == 2
    assert out.count("\n") == 1
    assert out.startswith(f"{study.joint}: verified: ")
    assert err.startswith(f"error: {study.subspace}: not verified: ")
    assert err.count("\n") == 1


def test_a_certificate_without_its_files_says_what_is_missing(certified, tmp_path, refused):
    shutil.copytree(certified.subspace, tmp_path / "alone" / "levels_3")
    assert f"{tmp_path / 'alone' / 'manifest.json'}: expected the manifest" in refused("verify", tmp_path / "alone")
    shutil.copy(certified.subspace.parent / "manifest.json", tmp_path / "alone")
    assert "expected a file with SHA-256" in refused("verify", tmp_path / "alone")


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_no_certificate_is_one_line(tmp_path, refused, name):
    (tmp_path / "empty").mkdir()
    line = refused("verify", tmp_path / name)
    assert line == f"error: {tmp_path / name}: expected a certificate ({CERTIFICATE_FILE}), found none\n"


@pytest.mark.parametrize("arguments", [[], ["--threads", "many", "x"], ["--threads", "0", "x"], ["--unknown", "x"]])
def test_wrong_command_lines(refused, arguments):
    assert "--help" in refused("verify", *arguments)


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["verify", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "\n  certifuse verify results/certificates " in out
    assert "\n  certifuse verify --json DIRECTORY\n" in out
