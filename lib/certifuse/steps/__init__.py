"""One module per step of the workflow, of its name: the story of the step, top to bottom."""

from certifuse.base.interrupts import end_quietly_when_interrupted

end_quietly_when_interrupted("interrupted")  # here, since the imports of a step take seconds
