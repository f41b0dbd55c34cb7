from pathlib import Path

import pandas as pd
import pytest

from certifuse.base.errors import UserError
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of, grid, lambdas_of
from certifuse.reporting.frames import read_frame
from certifuse.reporting.fusion.frames import SCHEMAS

SUMMARY, MISSING = SCHEMAS["summary"], SCHEMAS["missing"]

HEADER = "architecture,fusion,lambda,seed,predictor,metric,value\n"


def written(directory: Path, text: str) -> Path:
    path = directory / "frame.csv"
    path.write_text(text)
    return path


def test_lambdas_stay_strings_and_baselines_have_none(tmp_path):
    text = HEADER + "resnet,concatenation,1.0,0,fused,top1_percent,70.5\nresnet,baseline,,0,single,top1_percent,\n"
    frame = read_frame(written(tmp_path, text), SUMMARY)
    assert list(frame["lambda"]) == ["1.0", ""]
    assert frame["value"][0] == 70.5
    assert pd.isna(frame["value"][1])


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_without_rows_is_an_empty_frame(tmp_path, name):
    frame = read_frame(written(tmp_path, "epoch\n"), SCHEMAS[name])
    assert frame.empty
    assert list(frame.columns) == list(SCHEMAS[name].columns)


def test_reasons_keep_commas_and_words_that_look_like_nothing(tmp_path):
    text = 'architecture,fusion,lambda,seed,reason\nresnet,concatenation,0.5,1,"killed, then NA"\n'
    assert read_frame(written(tmp_path, text), MISSING)["reason"][0] == "killed, then NA"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEADER.replace(",value", "") + "resnet,concatenation,1.0,0,fused,top1_percent\n", "none called value"),
        (HEADER + "resnet,concatenation,1.0,0,fused,top1_percent,good\n", "good"),
        (HEADER + "resnet,concatenation,1.0,,fused,top1_percent,70\n", "NA values"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, complaint):
    with pytest.raises(UserError, match=rf"frame\.csv: .*{complaint}"):
        read_frame(written(tmp_path, text), SUMMARY)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        read_frame(tmp_path / "nowhere.csv", SUMMARY)


def test_the_grid_holds_finished_and_missing_cells(frames):
    cells = grid(frames.summary, frames.missing)
    assert len(cells) == 2 * 2 * 2 * 2
    assert architectures_of(cells) == ["resnet", "densenet"]
    assert fusions_of(cells) == ["multiplicative", "concatenation"]
    assert lambdas_of(cells) == ["0.5", "1.0"]


def test_lambdas_are_ordered_by_value():
    assert lambdas_of(pd.DataFrame({"lambda": ["10.0", "2.0", "0", "0.5"]})) == ["0", "0.5", "2.0", "10.0"]


def test_rules_are_compared_at_the_lambda_most_of_them_have():
    rules = {"concatenation": ["0.1", "2.0"], "multiplicative": ["2.0"], "simpleAddition": ["0.5", "1.0"]}
    cells = pd.DataFrame(
        [{"architecture": "resnet", "fusion": fusion, "lambda": lam} for fusion, lams in rules.items() for lam in lams]
    )
    assert compared_cells(cells, "resnet") == {"concatenation": "2.0", "multiplicative": "2.0", "simpleAddition": "1.0"}
