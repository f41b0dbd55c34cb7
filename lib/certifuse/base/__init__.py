"""Ground floor: errors, files, digests, seals, manifests, seeds."""
