"""Expert architectures, fusion rules and the fused network."""
