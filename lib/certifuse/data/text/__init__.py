"""Documents: where they come from, how they become tokens, batches and windows."""
