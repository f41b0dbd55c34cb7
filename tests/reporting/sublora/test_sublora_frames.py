import math

import pandas as pd
import pytest
from reporting_study import changed, written

from certifuse.base.errors import UserError
from certifuse.reporting.frames import Frames, read_frames
from certifuse.reporting.frontier import unbeaten
from certifuse.reporting.sublora.choice import (
    best_first,
    compared_levels,
    compared_rows,
    mean_points,
)
from certifuse.reporting.sublora.frames import (
    SCHEMAS,
    budgets_of,
    grid,
    modes_at,
    reference_rows,
    study_modes,
)
from certifuse.reporting.sublora.modes import is_allocation, is_asymmetric, mode_label, mode_looks, modes_in_order
from certifuse.reporting.sublora.quoting import each_by_itself, quoted_text, scored_text
from certifuse.reporting.sublora.tables import summary_rows, summary_tex
from certifuse.study.settings import sublora as configured
from certifuse.study.settings.figures import FigureSettings


def test_files_give_the_frames_again(frames, tmp_path):
    again = read_frames(written(frames, tmp_path), SCHEMAS)
    for name in vars(frames):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(frames, name))


def test_files_without_rows_are_a_study_without_results(none_finished, tmp_path):
    again = read_frames(written(none_finished, tmp_path), SCHEMAS)
    assert again.metrics.empty
    assert budgets_of(again) == [100, 200]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("model", "lstm", "model to be one of sublora, ngram"),
        ("d", None, "d, seed and levels of a language model"),
        ("kl_nats", 7.0, "kl_nats to be code_bits ln 2"),
        ("vacuous_bpd", 1.0, "vacuous_bpd to be log2 vocabulary"),
        ("bound_best_bpd", 1.0, "bound_best_bpd at or above risk_bpd"),
        ("bound_published_bpd", None, "a published bound"),
        ("delta", 1.0, "delta strictly between 0 and 1"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(frames, tmp_path, column, value, expected):
    metrics = frames.metrics.copy()
    metrics.loc[3, column] = value
    with pytest.raises(UserError, match=rf"metrics\.csv: line 5: expected {expected}"):
        read_frames(written(changed(frames, metrics=metrics), tmp_path), SCHEMAS)


def test_a_repeated_certificate_and_a_wrong_gamma_are_refused(frames, tmp_path):
    with pytest.raises(UserError, match="one row per certificate"):
        read_frames(written(changed(frames, metrics=pd.concat([frames.metrics] * 2)), tmp_path), SCHEMAS)
    with pytest.raises(UserError, match="gamma to be split / budget"):
        read_frames(written(changed(frames, gates=frames.gates.assign(gamma=0.123)), tmp_path), SCHEMAS)


def test_the_grid_is_what_exists_and_what_is_missing(frames):
    cells = grid(frames)
    models = (6 + 3 + 1) * 2 * 3 * 3 + 3 * 3  # modes, nulls, subspace only; budgets; seeds; levels; LoRA only
    assert len(cells) == models + 3
    assert budgets_of(frames) == [1000, 2000]
    assert "fixed_0.2" in modes_at(frames, 2000)
    assert set(reference_rows(frames.metrics, 2000)["d"]) == {2000, 9728}


def test_every_mode_that_can_be_configured_is_known():
    modes = {*configured.PLAIN_MODES, *configured.NULLS, "fixed_0.2", "fixed_0.65", "fixed_1"}
    looks = mode_looks(modes, FigureSettings())
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(modes)
    assert {mode for mode in modes if not is_allocation(mode)} == {*configured.NULLS, "lora_only", "subspace_only"}
    assert all(look.filled != (mode in configured.NULLS) for mode, look in looks.items())
    assert is_asymmetric("fixed_1")
    assert not is_asymmetric("fixed_0.5")


def test_modes_stand_in_the_order_of_their_shares(frames):
    assert modes_in_order(study_modes(frames))[:6] == [
        *("uniform", "fixed_0.2", "fixed_0.5", "fixed_0.8"),
        *("proportional", "learned"),
    ]
    assert modes_in_order(["fixed_0.15", "fixed_0.1", "fixed_0.9"]) == ["fixed_0.1", "fixed_0.15", "fixed_0.9"]
    assert mode_label("fixed_0.2") == "fixed 0.2"


# ---- choice --------------------------------------------------------------------------------------


def test_modes_are_compared_at_the_levels_with_the_lowest_mean_bound(frames):
    allocated = frames.metrics[(frames.metrics["d"] == 1000) & frames.metrics["mode"].map(is_allocation)]
    means = {number: allocated.loc[allocated["levels"] == number, "bound_best_bpd"].mean() for number in (3, 7, 11)}
    assert compared_levels(frames.metrics, 1000) == min(means, key=means.get)
    assert compared_levels(frames.metrics, 3000) is None
    assert set(compared_rows(frames.metrics, 1000)["mode"]) >= {"learned_random", "subspace_only"}


def test_levels_that_fewer_models_have_are_not_compared_at(frames):
    best = compared_levels(frames.metrics, 1000)
    lacking = frames.metrics[~((frames.metrics["levels"] == best) & (frames.metrics["mode"] == "uniform"))]
    assert compared_levels(lacking, 1000) != best


def test_the_frontier_is_what_brute_force_finds(frames):
    points = mean_points(frames.metrics[frames.metrics["model"] == "sublora"], ["code_bits", "risk_bpd"])
    pairs = list(zip(points["code_bits"], points["risk_bpd"], strict=True))
    free = [p for p in pairs if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in pairs)]
    found = unbeaten(points, "code_bits", "risk_bpd")
    assert sorted(free) == list(zip(found["code_bits"], found["risk_bpd"], strict=True))
    assert 1 < len(free) < len(pairs)


def test_the_best_has_the_lowest_bound_and_of_equal_ones_the_fewest_bits(frames):
    assert best_first(frames.metrics)["bound_best_bpd"].iloc[0] == frames.metrics["bound_best_bpd"].min()
    level = frames.metrics.assign(bound_best_bpd=1.0)
    assert best_first(level)["code_bits"].iloc[0] == frames.metrics["code_bits"].min()


def test_the_best_is_quoted_as_the_best_of_all_that_the_study_asked_for(frames):
    best = best_first(frames.metrics).iloc[0].to_dict()
    said = f"best of 48 certificates, at delta / 48 in every step, {best['bound_best_bpd'] + 0.03:.3f}"
    assert said in quoted_text(best)
    assert "no bound" in quoted_text(best | {"candidates": 5000, "bound_best_of_bpd": math.nan})


def test_a_study_without_a_draw_has_no_bound_that_does_not_hold(frames):
    drawn, none = frames.metrics["subsample"], frames.metrics["subsample"].mask(frames.metrics["d"].notna()).iloc[:1]
    assert scored_text(drawn) == "n = 5,000 drawn"
    assert scored_text(none) == "all scored"
    assert "published" in each_by_itself(drawn)
    assert "published" not in each_by_itself(none)
    metrics = frames.metrics.assign(subsample=pd.array([None] * len(drawn), dtype="Int64"))
    whole = Frames(**{name: getattr(frames, name) for name in SCHEMAS} | {"metrics": metrics})
    assert "all scored" in summary_tex(summary_rows(whole, 0.95), "digits", 0.95)
