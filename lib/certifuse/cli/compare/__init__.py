"""`certifuse compare`: two studies side by side."""
