"""The one training loop, its states on disk, its time, its telemetry. It does not know what it trains."""
