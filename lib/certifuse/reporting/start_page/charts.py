"""Interactive charts of the start page: accuracy and certified error against lambda, as Vega-Lite specifications.

A chart has a panel for each architecture and a line for each rule. Marks of seeds and of means say under the mouse what
they are; a click in the legend leaves one rule alone.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from certifuse.evaluation.statistics import MeanInterval
from certifuse.reporting.cells import CELL, architectures_of, fusions_of, lambdas_of, place_of_fusion
from certifuse.reporting.certificates.frames import SUBSPACE
from certifuse.reporting.estimates import estimate
from certifuse.reporting.frames import records, rows_with
from certifuse.reporting.fusion.answers import expert_scores, fused_scores
from certifuse.reporting.start_page.certified import percent_text
from certifuse.reporting.tables import Row
from certifuse.study import paths

FUSED, EXPERTS = "fused network", "mean of its experts"
ACCURACY = "test top-1 accuracy (%)"
CERTIFIED = "certified error (%)"
SEED, MEAN = "seed", "mean"
PANEL_PX = {"width": 300, "height": 220}
NAMED = ("rule", "lambda", "value")
OF_MEAN = (*NAMED, "interval", "seeds")
OF_SEED = (*NAMED, "seed", "files")
OF_CERTIFICATE = (*NAMED, "seed", "holds", "code", "files")
"""What a mark says under the mouse: fields of its row."""


@dataclass(frozen=True)
class Chart:
    """A chart: its name, its caption and its Vega-Lite specification as JSON that a script element may hold."""

    name: str
    caption: str
    specification: str


def accuracy_chart(summary: pd.DataFrame, palette: Sequence[str], confidence: float) -> Iterator[Chart]:
    """The fused network and its experts against lambda; none without a result."""
    scores = {FUSED: fused_scores(summary), EXPERTS: expert_scores(summary)}
    if scores[FUSED].empty:
        return
    rows = [row for shown, of_shown in scores.items() for row in _accuracies(of_shown, shown, confidence)]
    caption = (
        "Test top-1 accuracy against λ. Small marks are seeds, large ones their means with Student's t interval. The "
        "list chooses the fused network or its experts, a click in the legend one rule; the mouse on a mark "
        "shows its numbers and where its files are."
    )
    yield _chart("accuracy", caption, scores[FUSED], rows, ACCURACY, palette, tuple(scores), OF_SEED)


def certified_chart(certificates: pd.DataFrame, palette: Sequence[str]) -> Iterator[Chart]:
    """The certified error of every trained subspace against lambda; none without a certificate."""
    trained = rows_with(certificates, kind=SUBSPACE)
    if trained.empty:
        return
    rows = [_certificate(row) for row in records(trained)]
    shown = sorted({row["shown"] for row in rows}, key=lambda text: int(text.removeprefix("d = ").replace(",", "")))
    caption = (
        "Certified error of trained subspaces against λ, rounded up, one mark per certificate: each holds for its own "
        "network. The list chooses the dimension, a click in the legend one rule."
    )
    yield _chart("certified", caption, trained, rows, CERTIFIED, palette, shown, OF_CERTIFICATE)


# ---- rows ----------------------------------------------------------------------------------------


def _accuracies(scores: pd.DataFrame, shown: str, confidence: float) -> Iterator[Row]:
    """A row for each seed, and one for their mean."""
    for row in records(scores[[*CELL, "value"]]):
        files = ", ".join(template.format(**row) for template in (paths.CELL_DIR, paths.CELL_METRICS))
        marked = _mark(row, shown, SEED, float(row["value"]), f"{row['value']:.2f}")
        yield marked | {"seed": row["seed"], "files": files}
    for names, values in scores.groupby(CELL[:3])["value"]:
        found = estimate(values, confidence)
        if found is not None:
            named = _mark(dict(zip(CELL[:3], names, strict=True)), shown, MEAN, found.mean, f"{found.mean:.2f}")
            yield named | {"seeds": found.n} | _around(found)


def _around(found: MeanInterval) -> Row:
    """The ends of an interval, in numbers and in words; one seed has none, and both ends at its place."""
    if found.low is None or found.high is None:
        return {"low": found.mean, "high": found.mean, "interval": "none: one seed"}
    return {"low": found.low, "high": found.high, "interval": f"{found.low:.2f} to {found.high:.2f}"}


def _certificate(row: Row) -> Row:
    shown = f"d = {row['d']:,}"
    directory = f"{paths.SUBSPACE_DIR}/{paths.LEVELS_DIR}".format(**row)
    code = f"{row['code_bits']:,.0f} bits, L = {row['levels']}, {row['inequality'].replace('_', ' ')}"
    marked = _mark(row, shown, SEED, float(row["bound_percent"]), percent_text(row["bound_percent"]))
    holds = f"with probability {1 - row['delta']:g}, by itself"
    return marked | {"seed": row["seed"], "holds": holds, "code": code, "files": directory}


def _mark(row: Row, shown: str, of: str, number: float, value: str) -> Row:
    names = {"architecture": row["architecture"], "rule": row["fusion"], "lambda": row["lambda"]}
    return names | {"shown": shown, "of": of, "number": number, "value": value}


# ---- the specification ---------------------------------------------------------------------------


def _chart(
    name: str,
    caption: str,
    cells: pd.DataFrame,
    rows: Sequence[Row],
    axis: str,
    palette: Sequence[str],
    shown: Sequence[str],
    said: Sequence[str],
) -> Chart:
    rules = fusions_of(cells)
    colours = [palette[place_of_fusion(rule) % len(palette)] for rule in rules]
    lams = lambdas_of(cells)
    specification = {
        "data": {"values": rows},
        "params": [
            {"name": "shown", "value": shown[0], "bind": {"input": "select", "options": shown, "name": "Show "}}
        ],
        "transform": [{"filter": "datum.shown == shown"}],
        "facet": {"field": "architecture", "type": "nominal", "title": None, "sort": architectures_of(cells)},
        "columns": 3,
        "spec": {**PANEL_PX, "layer": _layers(axis, lams, rules, colours, said)},
        "resolve": {"scale": {"y": "independent"}},
    }
    return Chart(name, caption, in_script(specification))


def _layers(
    axis: str, lams: Sequence[str], rules: Sequence[str], colours: Sequence[str], said: Sequence[str]
) -> list[dict[str, Any]]:
    """Marks of seeds, which say the fields `said`; before them, where there are means, their lines and intervals."""
    places = {
        "x": {"field": "lambda", "type": "ordinal", "sort": lams, "title": "loss weight λ", "axis": {"labelAngle": 0}},
        "y": {"field": "number", "type": "quantitative", "title": axis, "scale": {"zero": False}},
        "color": {
            "field": "rule",
            "type": "nominal",
            "scale": {"domain": rules, "range": colours},
            "title": "fusion rule",
            "legend": {"orient": "top"},
        },
        "opacity": {"condition": {"param": "chosen", "value": 1}, "value": 0.1},
    }
    interval = places | {"y": {"field": "low", "type": "quantitative", "title": axis}, "y2": {"field": "high"}}
    choice = {"name": "chosen", "select": {"type": "point", "fields": ["rule"]}, "bind": "legend"}
    of_seeds = {
        "params": [choice],
        "transform": _only(SEED),
        "mark": {"type": "point", "size": 30},
        "encoding": places | {"tooltip": _tooltip(said)},
    }
    if said == OF_CERTIFICATE:
        return [of_seeds]
    return [
        {"transform": _only(MEAN), "mark": {"type": "line"}, "encoding": places},
        {"transform": _only(MEAN), "mark": "rule", "encoding": interval},
        {
            "transform": _only(MEAN),
            "mark": {"type": "point", "filled": True, "size": 90},
            "encoding": places | {"tooltip": _tooltip(OF_MEAN)},
        },
        of_seeds,
    ]


def _tooltip(fields: Iterable[str]) -> list[dict[str, str]]:
    return [{"field": field, "title": field} for field in fields]


def _only(of: str) -> list[dict[str, str]]:
    return [{"filter": f"datum.of == '{of}'"}]


def in_script(value: Any) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def script_bundle(charts: Iterable[Chart]) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without a link to another host; nothing where there is no chart."""
    if not [*charts]:
        return ""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")
