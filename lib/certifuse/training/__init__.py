"""Losses, rates, the one training loop, resume state and telemetry. Knows nothing of the study that it serves."""
