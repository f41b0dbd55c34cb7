"""Time of a process that somebody ends at a limit: it stores its state and stops before that."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from certifuse.base.errors import OutOfTimeError, UserError

RESERVE_FRACTION = 0.1
MAX_RESERVE_S = 120.0
"""Kept back of a budget: a tenth, at most this, for what comes before the process and after its last epoch."""

HOW_TO_GET_MORE = "snakemake --set-resources RULE:runtime=MINUTES, or runtime in the profile"


@dataclass
class TimeBudget:
    """`minutes` from `began_s` (of `time.monotonic`), the start of the process; None is without end.

    Another epoch is begun only if the longest one so far, the longest saving and the reserve fit into what is left.
    Where several processes train together, `any_of(flag)` tells all of them whether one of them has the flag up.
    """

    minutes: float | None = None
    began_s: float = field(default_factory=time.monotonic)
    any_of: Callable[[bool], bool] = bool
    _longest_epoch_s: float | None = field(default=None, init=False)
    _longest_saving_s: float = field(default=0.0, init=False)

    @property
    def left_s(self) -> float:
        """Seconds that are left, without the reserve."""
        if self.minutes is None:
            return math.inf
        budget_s = 60 * self.minutes
        return self.began_s + budget_s - min(RESERVE_FRACTION * budget_s, MAX_RESERVE_S) - time.monotonic()

    @property
    def wants_state(self) -> bool:
        """True until an epoch has ended that the budget counts: its state is stored, so that every attempt gets on."""
        return self.minutes is not None and self._longest_epoch_s is None

    def is_used_up(self) -> bool:
        """True where another epoch would not fit; the same answer in all processes. Never before an epoch has ended."""
        if self.minutes is None:
            return False
        known = self._longest_epoch_s is not None
        return self.any_of(known and self.left_s < (self._longest_epoch_s or 0.0) + self._longest_saving_s)

    @contextlib.contextmanager
    def epoch(self, name: str, *, watched: bool) -> Iterator[None]:
        """Measure an epoch; where it is `watched`, end it at the reserve.

        Raises:
            UserError: the first epoch of this process had not ended by then, so none ever would.
            OutOfTimeError: a later one had not, which took longer than those before.
        """
        began_s = time.monotonic()
        with self._alarm(name) if watched and self.minutes is not None else contextlib.nullcontext():
            yield
        self._longest_epoch_s = max(self._longest_epoch_s or 0.0, time.monotonic() - began_s)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Measure the storing of a state."""
        began_s = time.monotonic()
        yield
        self._longest_saving_s = max(self._longest_saving_s, time.monotonic() - began_s)

    def used_up(self, name: str, done: str) -> OutOfTimeError:
        """The error to raise once the state is stored; `done` says how far the run got."""
        return OutOfTimeError(
            f"{name}: stopped after {done} and stored, before the limit of {self.minutes:g} minutes: another epoch "
            f"(at most {self._longest_epoch_s:.1f} s so far) would not fit; the next attempt goes on from here"
        )

    @contextlib.contextmanager
    def _alarm(self, name: str) -> Iterator[None]:
        start_s = time.monotonic() - self.began_s

        def late(*_: Any) -> None:
            if self._longest_epoch_s is None:
                raise UserError(
                    f"{name}: expected an epoch to end within the limit of {self.minutes:g} minutes, found none: "
                    f"{start_s:.1f} s were needed to start; ask for more time ({HOW_TO_GET_MORE})"
                )
            raise OutOfTimeError(
                f"{name}: stopped before the limit of {self.minutes:g} minutes, in an epoch longer than those before; "
                "the next attempt goes on from the last stored state"
            )

        if self.left_s <= 0:
            late()
        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, self.left_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
