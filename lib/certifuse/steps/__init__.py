"""One module per step of the workflow, of its name: the story of the step, top to bottom."""
