"""The answer to a question in words, from its tests by the rule of `questions`."""

from collections.abc import Sequence
from dataclasses import dataclass

from certifuse.reporting.seed_tests import CANNOT_TELL, LESS, MORE
from certifuse.reporting.sublora.questions import ASYMMETRY, DEPTH, GATES, NULL_GATES
from certifuse.reporting.tables import Row
from certifuse.reporting.text import interval, p_phrase, signed

DEPENDS = "it depends"
WORDS = {
    ASYMMETRY: {LESS: "yes", MORE: "no, it costs"},
    GATES: {LESS: "yes, towards A", MORE: "yes, towards B"},
    NULL_GATES: {LESS: "yes", MORE: "no, they are worse"},
    DEPTH: {LESS: "yes, it falls", MORE: "yes, it rises"},
}
"""What it means that the estimate is below or above zero."""

MIXED = {GATES: "yes, in both directions", DEPTH: "yes, in both directions"}


@dataclass(frozen=True)
class Verdict:
    """The answer to a question in a few words, and what it rests on in sentences."""

    short: str
    reasons: tuple[str, ...]


def verdict(question: str, answers: Sequence[Row], confidence: float) -> Verdict:
    """The answer that the tests of one question give together."""
    tests = [row for row in answers if row["question"] == question]
    tested = [row for row in tests if row["p_holm"] is not None]
    decided = [row for row in tested if row["verdict"] != CANNOT_TELL]
    if not tested:
        return Verdict(CANNOT_TELL, (_why_untested(tests),))
    if not decided:
        return Verdict(CANNOT_TELL, (_nearest(tested, confidence),))
    directions = {row["verdict"] for row in decided}
    word = MIXED.get(question, DEPENDS) if len(directions) > 1 else WORDS[question][directions.pop()]
    reasons = [f"Decided: {'; '.join(map(_in_words, decided))}."]
    if len(decided) < len(tests):
        reasons.append(f"In the other {len(tests) - len(decided)} of {len(tests)} tests the data cannot tell.")
    return Verdict(f"{word}, in {len(decided)} of {len(tests)} tests", tuple(reasons))


def answer_rows(answers: Sequence[Row], confidence: float) -> list[Row]:
    """Every test with the answer of its question."""
    return [row | {"answer": verdict(row["question"], answers, confidence).short} for row in answers]


def _in_words(row: Row) -> str:
    estimate = " ".join(filter(None, (signed(row["estimate"]), interval(row["low"], row["high"]), row["unit"])))
    return ", ".join(filter(None, (f"{row['test']} at d = {row['budget']:,}: {estimate}", p_phrase(row["p_holm"]))))


def _why_untested(tests: Sequence[Row]) -> str:
    made = [row for row in tests if row["seeds"]]
    if not made:
        return "Nothing that the question asks for has been trained."
    return f"No test has two seeds, and a test needs them: {'; '.join(map(_in_words, made))}."


def _nearest(tested: Sequence[Row], confidence: float) -> str:
    """The test with the smallest adjusted p-value; of equal ones the smallest plain one."""
    first = min(tested, key=lambda row: (row["p_holm"], row["p_value"]))
    return (
        f"None of {len(tested)} tests has an adjusted p-value below {1 - confidence:.2g}. The nearest, with "
        f"{p_phrase(first['p_value'])} before the correction: {_in_words(first)}."
    )
