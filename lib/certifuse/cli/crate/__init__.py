"""`certifuse crate`."""
