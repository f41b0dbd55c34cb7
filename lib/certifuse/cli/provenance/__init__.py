"""`certifuse provenance`."""
