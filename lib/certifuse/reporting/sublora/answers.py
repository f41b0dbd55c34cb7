"""The answer to a question in words, from its tests by the rule of `questions`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from certifuse.reporting.sublora.contrasts import MeanTest
from certifuse.reporting.sublora.questions import ASYMMETRY, CANNOT_TELL, DEPTH, GATES, LESS, MORE, NULL_GATES, Answer
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


COLUMNS = (
    *("question", "answer", "budget", "test", "unit", "seeds", "estimate", "low", "high", "p_value", "p_holm"),
    "verdict",
)


@dataclass(frozen=True)
class Verdict:
    """The answer to a question in a few words, and what it rests on in sentences."""

    short: str
    reasons: tuple[str, ...]


def verdict(question: str, answers: Sequence[Answer]) -> Verdict:
    """The answer that the tests of one question give together."""
    tests = [answer for answer in answers if answer.question == question]
    tested = [answer for answer in tests if answer.tested is not None and answer.tested.p_holm is not None]
    decided = [answer for answer in tested if answer.verdict != CANNOT_TELL]
    if not tested:
        return Verdict(CANNOT_TELL, (_why_untested(tests),))
    if not decided:
        return Verdict(CANNOT_TELL, (_nearest(tested),))
    directions = {answer.verdict for answer in decided}
    word = MIXED.get(question, DEPENDS) if len(directions) > 1 else WORDS[question][directions.pop()]
    reasons = [f"Decided: {'; '.join(map(answer_text, decided))}."]
    if len(decided) < len(tests):
        reasons.append(f"In the other {len(tests) - len(decided)} of {len(tests)} tests the data cannot tell.")
    return Verdict(f"{word}, in {len(decided)} of {len(tests)} tests", tuple(reasons))


def answer_rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Every test as a row of `COLUMNS`, with the answer of its question."""
    rows = []
    for answer in answers:
        row: dict[str, Any] = {"question": answer.question, "answer": verdict(answer.question, answers).short}
        row |= {"budget": answer.d, "test": answer.what, "unit": answer.unit, "verdict": answer.verdict}
        test = answer.tested
        if test is not None:
            row |= {"estimate": test.mean, "low": test.low, "high": test.high}
            row |= {"p_value": test.p_value, "p_holm": test.p_holm}
        rows.append(row | {"seeds": 0 if test is None else test.n})
    return rows


def answer_text(answer: Answer) -> str:
    """One test in a phrase."""
    test = _tested(answer)
    estimate = " ".join(filter(None, (signed(test.mean), interval(test.low, test.high), answer.unit)))
    return ", ".join(filter(None, (f"{answer.what} at d = {answer.d:,}: {estimate}", p_phrase(test.p_holm))))


def _why_untested(tests: Sequence[Answer]) -> str:
    made = [answer for answer in tests if answer.tested is not None]
    if not made:
        return "Nothing that the question asks for has been trained."
    return f"No test has two seeds, and a test needs them: {'; '.join(map(answer_text, made))}."


def _nearest(tested: Sequence[Answer]) -> str:
    """The test with the smallest adjusted p-value; of equal ones the smallest plain one."""
    first = min(tested, key=lambda answer: (_tested(answer).p_holm, _tested(answer).p_value))
    return (
        f"None of {len(tested)} tests has an adjusted p-value below {1 - first.confidence:.2g}. The nearest, with "
        f"{p_phrase(_tested(first).p_value)} before the correction: {answer_text(first)}."
    )


def _tested(answer: Answer) -> MeanTest:
    assert answer.tested is not None, "only a test that was made can be written"
    return answer.tested
