"""The one exception for everything that a user can mend: bad config, data, component, certificate."""

import difflib
import os
from collections.abc import Iterable

USER_ERROR_STATUS = 2
OUT_OF_TIME_STATUS = os.EX_TEMPFAIL


class UserError(Exception):
    """A mistake in the input. Its text is one line: where, what was expected, what was found, the mend.

    Programs print the text and exit with status 2; they never show a traceback for it.
    """


class OutOfTimeError(Exception):
    """The time of a training is up: its state is stored, and the same command goes on from there.

    Programs print the text, which is one line, and exit with status 75 (EX_TEMPFAIL: try again).
    """


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'X'?"` for the closest allowed word, or an empty string when none is close."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""
