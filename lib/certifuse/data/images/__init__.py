"""Image sets: where they come from, how they are divided, copied and augmented."""
