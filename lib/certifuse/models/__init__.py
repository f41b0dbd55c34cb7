"""Networks: four expert architectures, six fusion rules, and the network that joins them. No data, no training."""
