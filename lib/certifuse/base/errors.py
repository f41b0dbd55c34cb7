"""The one exception for everything that a user can mend: bad config, data, component, certificate."""

import difflib
import os
from collections.abc import Iterable

USER_ERROR_STATUS = 2
OUT_OF_TIME_STATUS = os.EX_TEMPFAIL


LONGEST_LINE = 4000
"""Characters of a message: enough for long lists of names, and no flood where a file holds one huge text."""


class UserError(Exception):
    """A mistake in the input. Its text is one line: where, what was expected, what was found, the mend.

    Several mistakes are told at once in a line each. Programs print the text and exit with status 2; they never show a
    traceback for it. What it quotes may come from a file of somebody else: see `printable`.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(_cut(printable(line)) for line in lines))


def printable(text: str) -> str:
    """A text as one line of a terminal, which cannot be moved, coloured, reordered or broken by what it quotes.

    What does not print (control characters, line breaks, marks of direction and of no width) stands as its number,
    `\\u001b`, which JSON reads too.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _number(character) for character in text)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."


def _number(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class OutOfTimeError(Exception):
    """The time of a training is up: its state is stored, and the same command goes on from there.

    Programs print the text, which is one line, and exit with status 75 (EX_TEMPFAIL: try again).
    """


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'X'?"` for the closest allowed word, or an empty string when none is close."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""
