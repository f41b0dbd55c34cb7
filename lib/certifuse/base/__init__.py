"""What every program here needs and nothing of any study: errors, files, digests, seals, manifests, seeds."""
