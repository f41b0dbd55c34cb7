"""Ctrl-C, which is the user's wish and no fault of the program: it leaves no traceback."""

import sys
from types import TracebackType


def end_quietly_when_interrupted(said: str = "") -> None:
    """From now on an interrupt that nothing catches writes the line `said`, or nothing, to standard error.

    The process still ends by the signal, which a shell shows as status 130.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        elif said:
            sys.stderr.write(f"{said}\n")

    sys.excepthook = hook
