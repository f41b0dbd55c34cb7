"""`certifuse components`."""
