import json
import math

import numpy as np
import pytest

from certifuse.base.errors import UserError
from certifuse.cli.main import program_parser

ZERO_ONE = "--loss zero-one --risk 0.1362 --bits 8490 --examples 50000 --delta 0.05"
BPD = "--loss bpd --risk 9.0 --bits 3125.2 --documents 8009762 --subsample 10000 --alpha 0.1 --vocabulary 50257"


def certifuse(line):
    args = program_parser().parse_args(["bound", *line.split()])
    return args.execute(args)


def values(capsys):
    return {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)["bounds"]}


def test_golden_rows(capsys):
    assert certifuse(ZERO_ONE + " --json") == 0
    assert 100 * values(capsys)["catoni"] == pytest.approx(35.12, abs=0.01)
    assert certifuse(BPD + " --json") == 0
    assert values(capsys)["hoeffding"] == pytest.approx(9.4489, abs=5e-5)


def test_tables(capsys):
    certifuse(ZERO_ONE)
    table = capsys.readouterr().out
    assert "(vacuous)" in table
    certifuse(BPD)
    assert "9.4490" in capsys.readouterr().out


@pytest.mark.parametrize(("line", "scale"), [(ZERO_ONE, 100), (BPD + " --deviation 1.0", 1)])
def test_the_table_rounds_every_bound_up(capsys, line, scale):
    certifuse(line + " --json")
    exact = values(capsys)
    certifuse(line)
    printed = {row.split()[0]: float(row.split()[1]) for row in capsys.readouterr().out.splitlines()[1:]}
    assert all(0 <= printed[name] - scale * value < 1.0 / scale for name, value in exact.items())
    nearest = {name: round(scale * value, 2 if scale == 100 else 4) for name, value in exact.items()}
    assert any(nearest[name] < scale * exact[name] for name in exact), "else this would pass without rounding up"


def test_what_is_drawn_holds_for_a_smoothing_that_was_fixed_before(capsys):
    for line, said in ((BPD, True), (BPD.replace("--subsample 10000", ""), False), (ZERO_ONE, False)):
        certifuse(line + " --json")
        assert ("hoeffding" in json.loads(capsys.readouterr().out)["evidence"]["holds"]) is said


def test_further_evidence_opens_further_bounds(capsys, tmp_path):
    certifuse(
        "--loss zero-one --risk 0.646 --bits 58 --examples 10000 --prior-risk 0.65 --worse 100 --better 140 --json"
    )
    seen = values(capsys)
    assert seen["excess_betting"] < seen["binomial"]
    certifuse(BPD + " --deviation 1.0 --json")
    seen = values(capsys)
    assert seen["bernstein"] < 9.15 < seen["hoeffding"]
    losses = np.random.default_rng(0).normal(9.0, 1.0, 40)
    path = tmp_path / "losses.npy"
    np.save(path, losses)
    line = f"--loss bpd --risk {losses.mean()} --bits 9 --documents 40 --alpha 0.1 --vocabulary 50257 --json"
    certifuse(line + f" --losses {path}")
    assert set(values(capsys)) == {"betting", "bernstein", "kl", "hoeffding"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (ZERO_ONE.replace("0.1362", "13.62"), "fraction between 0 and 1"),
        (ZERO_ONE.replace("0.05", "0"), "delta"),
        (ZERO_ONE.replace("8490", "-1"), "code_bits"),
        (ZERO_ONE.replace("8490", "nan"), "code_bits"),
        (ZERO_ONE.replace("50000", "0"), "examples"),
        (ZERO_ONE.replace("--examples 50000", ""), "needs --examples"),
        (ZERO_ONE + " --alpha 0.1", "--alpha does not apply"),
        (ZERO_ONE + " --worse 3", "go together"),
        (ZERO_ONE + " --prior-risk 0.1 --worse 3 --better 3", "prior comparison"),
        (BPD.replace("0.1 ", "1.0 "), "alpha"),
        (BPD.replace("9.0", "40"), "risk_bpd"),
        (BPD.replace("8009762", "1") + " --deviation 1", "examples"),
        (BPD + " --losses /nowhere.npy", "--losses /nowhere.npy"),
    ],
)
def test_mistakes_are_one_line(line, message):
    with pytest.raises(UserError, match=message) as caught:
        certifuse(line)
    assert "\n" not in str(caught.value)


def test_losses_must_be_those_of_the_risk(tmp_path):
    path = tmp_path / "losses.txt"
    path.write_text("9.0\n9.5\n")
    line = BPD.replace("--subsample 10000", "--subsample 2") + f" --losses {path}"
    with pytest.raises(UserError, match="mean"):
        certifuse(line)
    path.write_text("nine\n")
    with pytest.raises(UserError, match="one number a line"):
        certifuse(line)


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        certifuse("--help")
    assert "--examples 50000 --delta 0.05" in capsys.readouterr().out


def test_bounds_of_the_vacuous_kind_are_readable(capsys):
    certifuse("--loss zero-one --risk 1 --bits 0 --examples 1 --json")
    assert all(math.isclose(value, 1.0) for value in values(capsys).values())
