"""The page of questions and answers: blocks of text and tables, all from the frames, as Markdown or LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from certifuse.reporting.frames import Frames
from certifuse.reporting.latex import TableRow, escape, longtable
from certifuse.reporting.seed_tests import CANNOT_TELL
from certifuse.reporting.sublora import findings
from certifuse.reporting.sublora.answers import verdict
from certifuse.reporting.sublora.frames import of_models
from certifuse.reporting.sublora.questions import ADVISED_SEEDS, ASYMMETRY, GATES, QUESTIONS, answers
from certifuse.reporting.tables import Row
from certifuse.reporting.text import interval, p_value, signed

HEADER = ("test", "d", "unit", "seeds", "estimate", "interval", "p", "p (Holm)", "verdict")
ALIGNED = "lrlrrrrrl"


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and the tests of a question (none where the section is about no question)."""

    heading: str
    paragraphs: Sequence[str]
    tests: Sequence[Row] = ()


def sections(frames: Frames, study: str, confidence: float) -> list[Section]:
    """The whole page, top to bottom."""
    tests = answers(frames, confidence)
    setting = [*findings.setting(frames), _rule(frames, confidence)]
    page = [Section(f"SubLoRA study {study}: questions and answers", setting)]
    about = {ASYMMETRY: findings.domination(frames), GATES: findings.gates(frames.gates)}
    for question, heading in QUESTIONS.items():
        answer = verdict(question, tests, confidence)
        short = f"{answer.short[0].upper()}{answer.short[1:]}."
        own = [row for row in tests if row["question"] == question]
        page.append(Section(heading, (short, *answer.reasons, *about.get(question, ())), own))
    page.append(Section("What is certified", findings.bounds(frames.metrics)))
    missing = findings.missing(frames)
    return [*page, Section("What is missing", missing)] if missing else page


def page_md(page: Sequence[Section]) -> str:
    """The page as Markdown; the first heading is the title."""
    blocks = []
    for rank, section in enumerate(page):
        blocks.append(f"{'#' if rank == 0 else '##'} {section.heading}")
        lead = [f"**{section.paragraphs[0]}**"] if section.heading in QUESTIONS.values() else []
        blocks += [*lead, *section.paragraphs[len(lead) :]]
        if section.tests:
            lines = [HEADER, ["---"] * len(HEADER), *map(_cells, section.tests)]
            blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(blocks) + "\n"


def page_tex(page: Sequence[Section]) -> str:
    """The page as LaTeX, to be included by `\\input`."""
    blocks = []
    for rank, section in enumerate(page):
        blocks.append(rf"\{'section' if rank == 0 else 'subsection'}*{{{escape(section.heading)}}}")
        blocks += [escape(paragraph) for paragraph in section.paragraphs]
        if section.tests:
            name = f"sublora_{section.tests[0]['question'].replace(' ', '_')}"
            rows = [TableRow(_cells(row)) for row in section.tests]
            blocks.append(longtable(name, section.heading, list(zip(HEADER, ALIGNED, strict=True)), rows))
    return "\n\n".join(blocks) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    """One test as the cells of a table."""
    names = (row["test"], f"{row['budget']:,}", row["unit"], str(row["seeds"]))
    if not row["seeds"]:
        return (*names, "", "", "", "", CANNOT_TELL)
    numbers = (signed(row["estimate"]), interval(row["low"], row["high"]))
    return (*names, *numbers, p_value(row["p_value"]), p_value(row["p_holm"]), row["verdict"])


def _rule(frames: Frames, confidence: float) -> str:
    """The rule by which an answer is reached, and what so many seeds can show."""
    seeds = max(of_models(frames.metrics).groupby(["d", "mode", "levels"])["seed"].nunique(), default=0)
    text = (
        "One seed is one observation. Differences between modes are paired by seed, at one number of levels per "
        "budget. Every test is Student's, two-sided, that the mean over seeds is zero; p (Holm) is corrected for all "
        "tests of its question (differences between modes: for all contrasts of the bound of that kind). A test "
        f"decides where p (Holm) is below {1 - confidence:.2g}: the mean is below or above zero. Otherwise the data "
        "cannot tell, which is no evidence that there is no effect."
    )
    if seeds < 2:
        return f"{text} No model has two seeds here, so nothing can be decided."
    reach = {n: float(stats.t.ppf((1 + confidence) / 2, n - 1)) / n**0.5 for n in (seeds, ADVISED_SEEDS)}
    text += f" With {seeds} seeds a {100 * confidence:g}% interval reaches {reach[seeds]:.2f} standard deviations"
    if seeds >= ADVISED_SEEDS:
        return f"{text} to each side."
    return f"{text} to each side; for a claim {ADVISED_SEEDS} seeds are advised ({reach[ADVISED_SEEDS]:.2f})."
