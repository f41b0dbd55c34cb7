"""Command lines: the `certifuse` program, and what the scripts of the workflow share."""
