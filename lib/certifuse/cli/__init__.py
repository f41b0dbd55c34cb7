"""Command lines: the `certifuse` program, and what the scripts of the workflow share."""

from certifuse.base.interrupts import end_quietly_when_interrupted

end_quietly_when_interrupted()  # here, since the imports of a command take seconds
