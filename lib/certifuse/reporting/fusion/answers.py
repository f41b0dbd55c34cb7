"""The three questions of the fusion study as tests, and each answer in words.

Is fusing worth it beside the fine-tuned average; what does lambda do to the fused network and to its experts; which
rule is best. A test decides where its p-value, adjusted by Holm's method over all tests of its question and subject, is
below 1 - confidence; otherwise the data cannot tell, which is no evidence that there is no effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from certifuse.reporting.cells import architectures_of, compared_cells, finished_cells, fusions_of
from certifuse.reporting.drawing import first_reasons
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.predictors import FINETUNED, FUSED
from certifuse.reporting.seed_tests import CANNOT_TELL, LESS, MORE, mean_test, with_holm
from certifuse.reporting.tables import Row
from certifuse.reporting.text import interval, signed

WORTH = "Is fusing worth it beside the average of the fine-tuned experts?"
LAMBDA = "What does λ do to the fused network and to its experts?"
RULE = "Which fusion rule is best?"
EXPERTS = "its experts, on average"
COLUMNS = (
    *("question", "architecture", "fusion", "lambda", "subject", "minus", "seeds"),
    *("estimate_points", "low_points", "high_points", "p_value", "p_holm", "t_low_points", "t_high_points", "verdict"),
)
INTERVALS = ("low_points", "high_points", "t_low_points", "t_high_points")
MOST_NAMED = 3
"""Results of one question that a sentence names one by one; of more it says how many went which way."""


@dataclass(frozen=True)
class Answer:
    """A question, its answer in a few words, a sentence with the numbers, and the tests that it rests on."""

    question: str
    short: str
    sentence: str
    tests: Sequence[Row] = ()


def answers(frames: Frames, confidence: float) -> list[Answer]:
    """The three answers. One that nothing was measured for says so."""
    if finished_cells(frames.summary).empty:
        why = "; ".join(first_reasons(frames.missing)) or "the study has no cell"
        return [
            Answer(question, "not answered", f"No cell has a result ({why}).") for question in (WORTH, LAMBDA, RULE)
        ]
    return [worth(frames.comparison, confidence), of_lambda(frames.summary, confidence), of_rules(frames, confidence)]


# ---- is fusing worth it --------------------------------------------------------------------------


def worth(comparison: pd.DataFrame, confidence: float) -> Answer:
    """The fused network minus the fine-tuned average in every cell, from the table of paired comparisons.

    A cell decides where its bootstrap over the test images does after Holm's correction over the cells and, where it
    has several seeds, its t interval over them leaves out zero on the same side.
    """
    compared = rows_with(comparison, level="cell", predictor=FUSED, baseline=FINETUNED)
    tests = [_compared(row, confidence) for row in records(compared)]
    if not tests:
        return Answer(WORTH, "not answered", "No cell is compared with a fine-tuned average: none has been evaluated.")
    better, worse = _counts(tests)
    undecided, total = len(tests) - better - worse, len(tests)
    short = CANNOT_TELL if undecided == total else _worth_in_words(better, worse, total)
    ordered = sorted(tests, key=lambda test: float(test["estimate_points"]))
    ends = [_in_cell(ordered[0])] if total == 1 else [f"from {_in_cell(ordered[0])}", f"to {_in_cell(ordered[-1])}"]
    alone = sum(test["seeds"] < 2 for test in tests)
    single = f" {alone} of them have one seed and say nothing of other seeds." if alone else ""
    sentence = (
        f"On the same test images the fused network is more accurate than the average of the same experts, fine-tuned "
        f"on the same images without fusion, in {better} of {total} combinations of architecture, rule and λ, less "
        f"accurate in {worse}, and in {undecided} the data cannot tell; the differences of top-1 accuracy go "
        f"{' '.join(ends)}.{single}"
    )
    return Answer(WORTH, short, sentence, tests)


def _worth_in_words(better: int, worse: int, total: int) -> str:
    if better and worse:
        return f"it depends: yes in {better}, no in {worse} of {total}"
    return f"yes, in {better} of {total}" if better else f"no, it costs accuracy, in {worse} of {total}"


def _compared(row: Row, confidence: float) -> Row:
    names = {name: row[name] for name in ("architecture", "fusion", "lambda", "seeds", *INTERVALS)}
    test: Row = names | {"question": WORTH, "subject": "fused", "minus": "fine-tuned average"}
    test |= {"estimate_points": row["difference_points"]}
    test |= {"p_value": row["bootstrap_p"], "p_holm": row["bootstrap_p_holm"]}
    over_seeds = test["t_low_points"], test["t_high_points"]
    reaches_zero = None not in over_seeds and over_seeds[0] <= 0 <= over_seeds[1]
    return test | {"verdict": CANNOT_TELL if reaches_zero else _verdict(test, confidence)}


# ---- what lambda does ----------------------------------------------------------------------------


def of_lambda(summary: pd.DataFrame, confidence: float) -> Answer:
    """Every lambda minus the smallest one of the same architecture, rule and seed: the fused network, and its experts.

    The tests of the fused networks are corrected together, and so are those of the experts.
    """
    subjects = {FUSED: fused_scores(summary), EXPERTS: expert_scores(summary)}
    tests = [test for subject, scores in subjects.items() for test in _against_least(scores, subject, confidence)]
    if not tests:
        return Answer(LAMBDA, "not answered", "No rule has results at two values of λ of one seed.")
    largest = _at_largest(tests)
    said = [_lambda_of(subject, [test for test in largest if test["subject"] == subject]) for subject in subjects]
    heads = [_peak(subjects[FUSED], test) for test in largest if test["subject"] == FUSED]
    best = f" The fused network's mean is highest {'; '.join(heads)}." if len(heads) <= MOST_NAMED else ""
    short = f"{_direction(largest, FUSED, 'the fused network')}; {_direction(largest, EXPERTS, 'its experts')}"
    sentence = f"From the smallest λ to the largest top-1 accuracy changes: {', and '.join(said)}.{best}"
    return Answer(LAMBDA, short, sentence, tests)


def fused_scores(summary: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracy of every fused network, percent."""
    return rows_with(summary, predictor=FUSED, metric="top1_percent")


def expert_scores(summary: pd.DataFrame) -> pd.DataFrame:
    """Mean top-1 accuracy of the experts of every cell after joint training, percent."""
    experts = summary["predictor"].str.fullmatch(r"expert_\d+_after") & (summary["metric"] == "top1_percent")
    return summary[experts].groupby(["architecture", "fusion", "lambda", "seed"], as_index=False)["value"].mean()


def _against_least(scores: pd.DataFrame, subject: str, confidence: float) -> list[Row]:
    tests = []
    for architecture in architectures_of(scores):
        of_architecture = rows_with(scores, architecture=architecture)
        for fusion in fusions_of(of_architecture):
            by_seed = rows_with(of_architecture, fusion=fusion).pivot(index="seed", columns="lambda", values="value")
            least, *others = sorted(by_seed.columns, key=float)
            for lam in others:
                differences = (by_seed[lam] - by_seed[least]).dropna()
                if len(differences):
                    names = {"question": LAMBDA, "architecture": architecture, "fusion": fusion, "lambda": lam}
                    names |= {"subject": subject, "minus": f"λ = {least}"}
                    tests.append(names | mean_test(differences.to_numpy(float), confidence))
    return _decided(tests, confidence)


def _at_largest(tests: Sequence[Row]) -> list[Row]:
    """Of every architecture, rule and subject the test of the largest lambda."""
    found: dict[tuple[str, str, str], Row] = {}
    for test in sorted(tests, key=lambda test: float(test["lambda"])):
        found[test["subject"], test["architecture"], test["fusion"]] = test
    return list(found.values())


def _lambda_of(subject: str, tests: Sequence[Row]) -> str:
    name = "the fused network" if subject == FUSED else EXPERTS
    if not tests:
        return f"that of {name} has no score"
    if len(tests) > MOST_NAMED:
        more, less = _counts(tests)
        left = len(tests) - more - less
        return f"that of {name} rises in {more} of {len(tests)} rules, falls in {less}, and in {left} {CANNOT_TELL}"
    changes = [
        f"{_estimate(test)} ({_place(test)}, {test['minus']} to {test['lambda']}: {_told(test)})" for test in tests
    ]
    return f"that of {name} by {'; '.join(changes)}"


def _peak(fused: pd.DataFrame, test: Row) -> str:
    rows = rows_with(fused, architecture=test["architecture"], fusion=test["fusion"])
    means = rows.groupby("lambda")["value"].mean()
    return f"at λ = {means.idxmax()} ({means.max():.2f}%, {test['architecture']}, {test['fusion']})"


def _direction(tests: Sequence[Row], subject: str, name: str) -> str:
    of_subject = [test for test in tests if test["subject"] == subject]
    more, less = _counts(of_subject)
    if not more + less:
        return f"{name}: {CANNOT_TELL}"
    return f"{name}: {_leaning(more, less, 'more accurate with more λ', 'less accurate with more λ')}"


# ---- which rule is best --------------------------------------------------------------------------


def of_rules(frames: Frames, confidence: float) -> Answer:
    """Every pair of rules of an architecture, paired by seed, where rules are compared.

    All pairs are corrected together, so that looking for the best among them costs nothing more.
    """
    fused, tests = fused_scores(frames.summary), []
    places = {one: compared_cells(finished_cells(frames.summary), one) for one in architectures_of(fused)}
    means: dict[str, pd.DataFrame] = {}
    for architecture, cells in places.items():
        by_rule = {
            fusion: rows_with(fused, architecture=architecture, fusion=fusion, lam=lam).set_index("seed")["value"]
            for fusion, lam in cells.items()
        }
        means[architecture] = pd.DataFrame(by_rule)
        for one, other in combinations(by_rule, 2):
            differences = (by_rule[one] - by_rule[other]).dropna()
            names = {"question": RULE, "architecture": architecture, "fusion": one, "lambda": cells[one]}
            names |= {"subject": one, "minus": other}
            tests.append(names | mean_test(differences.to_numpy(float), confidence))
    if not tests:
        return Answer(RULE, "not answered", "No architecture has results of two rules.")
    decided = _decided(tests, confidence)
    best = {
        architecture: _best_of(architecture, by_rule, places[architecture], decided)
        for architecture, by_rule in means.items()
        if by_rule.shape[1] > 1
    }
    said = [sentence for _, sentence in best.values()]
    winners = [f"{rule} for {architecture}" for architecture, (rule, _) in best.items() if rule]
    short = ", ".join(winners) or CANNOT_TELL
    return Answer(RULE, short, f"The highest mean top-1 accuracy: {'; '.join(said)}.", decided)


def _best_of(
    architecture: str, by_rule: pd.DataFrame, lams: Mapping[str, str], tests: Sequence[Row]
) -> tuple[str | None, str]:
    """The rule that beats all others of an architecture, where one does, and the sentence that says it."""
    ordered = by_rule.mean().sort_values(ascending=False)
    first, second = ordered.index[0], ordered.index[1]
    against = {}
    for test in tests:
        if test["architecture"] == architecture and first in (test["subject"], test["minus"]):
            against[test["minus"] if test["subject"] == first else test["subject"]] = _turned(test, first)
    beaten = sum(test["verdict"] == MORE for test in against.values())
    shown = f"{architecture}, {first} (λ = {lams[first]}), {ordered.iloc[0]:.2f}%"
    ahead = f"{_estimate(against[second])} before {second}"
    if beaten == len(against):
        return first, f"{shown}, {ahead}, told apart from all {len(against)} other rules"
    return None, f"{shown}, {ahead}, and not told apart from {len(against) - beaten} of {len(against)} other rules"


def _turned(test: Row, subject: str) -> Row:
    """The test with `subject` as what the other is taken from."""
    if test["subject"] == subject or test["estimate_points"] is None:
        return test
    low, high = (None if test[name] is None else -test[name] for name in ("high_points", "low_points"))
    verdict = {LESS: MORE, MORE: LESS}.get(test["verdict"], CANNOT_TELL)
    return test | {
        "estimate_points": -test["estimate_points"],
        "low_points": low,
        "high_points": high,
        "verdict": verdict,
    }


# ---- what they share -----------------------------------------------------------------------------


def _decided(tests: Sequence[Row], confidence: float) -> list[Row]:
    """The tests, corrected together, in the columns of the table."""
    found = []
    for test in with_holm(tests):
        named = {name: value for name, value in test.items() if name not in ("estimate", "low", "high")}
        named |= {f"{name}_points": test[name] for name in ("estimate", "low", "high")}
        found.append(named | {"verdict": _verdict(named, confidence)})
    return found


def _verdict(test: Row, confidence: float) -> str:
    p, low, high = test["p_holm"], test["low_points"], test["high_points"]
    if p is None or low is None or p >= 1 - confidence or low <= 0 <= high:
        return CANNOT_TELL
    return MORE if low > 0 else LESS


def _counts(tests: Sequence[Row]) -> tuple[int, int]:
    """How many tests are above zero, and how many below."""
    verdicts = [test["verdict"] for test in tests]
    return verdicts.count(MORE), verdicts.count(LESS)


def _leaning(more: int, less: int, yes: str, no: str) -> str:
    """The word for what the decided tests say together."""
    if more and less:
        return "it depends"
    return yes if more else no


def _estimate(test: Row) -> str:
    """The estimate in points with its interval."""
    if test["estimate_points"] is None:
        return "unknown"
    around = interval(test["low_points"], test["high_points"], 2) or "(one seed, no interval)"
    return f"{signed(test['estimate_points'], 2)} points {around}"


def _place(test: Row) -> str:
    return f"{test['architecture']}, {test['fusion']}"


def _in_cell(test: Row) -> str:
    return f"{_estimate(test)} ({_place(test)}, λ = {test['lambda']})"


def _told(test: Row) -> str:
    return CANNOT_TELL if test["verdict"] == CANNOT_TELL else f"{test['seeds']} seeds"
