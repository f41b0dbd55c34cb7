"""`certifuse status`."""
