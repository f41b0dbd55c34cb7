"""`certifuse.results` and `certifuse.verify`."""

import pytest

import certifuse
from certifuse.base.digests import digest_file
from certifuse.base.errors import UserError
from certifuse.base.manifest import FORMAT, write_manifest
from certifuse.base.rows import write_rows


def test_every_table_by_its_name_with_lambdas_as_text(tmp_path):
    write_rows(tmp_path / "metrics" / "summary.csv", [{"lambda": "1.0", "value": 0.5}, {"lambda": "", "value": ""}])
    write_rows(tmp_path / "tables" / "sublora" / "bounds.csv", [{"d": 8, "bound_bpd": 4.5}])
    frames = certifuse.results(tmp_path)
    assert set(frames) == {"summary", "bounds"}
    assert frames["summary"]["lambda"].iloc[0] == "1.0"
    assert frames["summary"].isna().iloc[1].all()
    assert frames["bounds"]["bound_bpd"].tolist() == [4.5]


def test_no_tables_are_an_error_and_so_are_changed_ones(tmp_path):
    with pytest.raises(UserError, match=r"expected tables below metrics/ and tables/, found none: run the study first"):
        certifuse.results(tmp_path)
    file = tmp_path / "metrics" / "summary.csv"
    write_rows(file, [{"value": 0.5}])
    write_manifest(
        file.parent / "summary_manifest.json", {"format": FORMAT, "outputs_sha256": {"summary.csv": digest_file(file)}}
    )
    file.write_text(file.read_text().replace("0.5", "0.6"))
    with pytest.raises(UserError, match=r"summary\.csv: its bytes differ"):
        certifuse.results(tmp_path)


def test_verify_gives_the_certificates_by_their_directories(certified, tmp_path):
    study = certified.copy(tmp_path / "study")
    study.certify(tmp_path / "study" / "certificates")
    found = certifuse.verify(tmp_path / "study" / "certificates")
    assert found
    assert all(0 < certificate.claim.bound <= 1 for certificate in found.values())
    path = next(iter(found)) / "certificate.json"
    path.write_text(path.read_text().replace('"errors"', '"errrors"', 1))
    with pytest.raises(UserError):
        certifuse.verify(path.parent)
    with pytest.raises(UserError, match="expected a certificate"):
        certifuse.verify(tmp_path / "nowhere")
