import pandas as pd
import pytest

from certifuse.base.errors import UserError
from certifuse.reporting.certificates.frames import HELD_OUT, SCHEMAS, panels_of
from certifuse.reporting.frames import read_frames


def read_certificates(path):
    return read_frames({"certificates": path}, SCHEMAS).certificates


@pytest.fixture
def written(one, tmp_path):
    """Writes the certificates with changed cells of the second row, a subspace."""

    def write(drop=(), **changes):
        frame = one.certificates.drop(columns=list(drop)).astype(object)
        for column, value in changes.items():
            frame.loc[1, column] = value
        path = tmp_path / "certificates.csv"
        frame.to_csv(path, index=False)
        return path

    return write


def test_what_is_written_is_read(one, written, tmp_path):
    one.ledgers.to_csv(tmp_path / "ledgers.csv", index=False)
    frames = read_frames({"certificates": written(), "ledgers": tmp_path / "ledgers.csv"}, SCHEMAS)
    pd.testing.assert_frame_equal(frames.certificates, one.certificates)
    pd.testing.assert_frame_equal(frames.ledgers, one.ledgers)
    assert frames.certificates["lambda"].tolist()[:2] == ["", "1.0"]


def test_a_file_without_held_out_columns_has_none_measured(written):
    frame = read_certificates(written(drop=HELD_OUT))
    assert set(frame.columns) == set(SCHEMAS["certificates"].columns)
    assert frame[list(HELD_OUT)].isna().all(axis=None)


@pytest.mark.parametrize("columns", [schema.columns for schema in SCHEMAS.values()])
def test_a_file_without_rows_is_empty(columns, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text(",".join(columns) + "\n")
    frames = read_frames({"certificates": path, "ledgers": path}, SCHEMAS)
    assert frames.certificates.empty
    assert panels_of(frames.certificates) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "subspaces"}, "expected kind to be one of prior, subspace, joint; found kind subspaces"),
        ({"errors": 10_001}, "expected errors between 0 and examples"),
        ({"risk_percent": 50.0}, "expected risk_percent to be 100 errors / examples"),
        ({"delta": 1.0}, "expected delta strictly between 0 and 1"),
        ({"bound_percent": 1.0}, "expected bound_percent between risk_percent and 100"),
        ({"bound_percent": ""}, "expected bound_percent between risk_percent and 100"),
        ({"code_bits": -1.0}, "expected code_bits >= 0"),
        ({"worse": 0}, "expected prior_errors \\+ worse - better = errors"),
        ({"worse": ""}, "expected prior_errors \\+ worse - better = errors"),
        ({"d": 0}, "expected d >= 1 of a subspace"),
        ({"levels": 11}, "expected one row per certificate"),
        ({"seed": ""}, "NA values"),
        ({"held_out_percent": "many"}, "many"),
    ],
)
def test_a_wrong_row_is_named(written, changes, complaint):
    with pytest.raises(UserError, match=rf"certificates\.csv: (line \d+: )?.*{complaint}") as raised:
        read_certificates(written(**changes))
    assert "\n" not in str(raised.value)


def test_another_file_is_refused(written):
    with pytest.raises(UserError, match="none called bound_percent"):
        read_certificates(written(drop=["bound_percent"]))


def test_a_panel_has_its_rule_at_its_lambda_and_the_prior_of_its_family(study):
    panels = panels_of(study.certificates)
    assert [(panel.title, panel.lam) for panel in panels] == [
        (f"resnet, {scheme}, {fusion}", "1.0")
        for scheme in ("iid", "by_class")
        for fusion in ("multiplicative", "concatenation")
    ]
    for panel in panels:
        assert (len(panel.trained), len(panel.of_rule)) == (2 * 4 * 2, 2 * 2 * 4 * 2)
        names = {f"resnet, {row.scheme}, {row.fusion}" for row in panel.of_rule.itertuples()}
        assert (names, set(panel.of_rule["kind"])) == ({panel.title}, {"subspace"})
        assert (set(panel.trained["lambda"]), list(panel.priors["seed"])) == ({"1.0"}, [0, 1])
        assert set(panel.priors["scheme"]) == set(panel.trained["scheme"])
        assert set(panel.priors["kind"]) == {"prior"}
