"""How a network runs: device, precision, layout, threads, forward passes."""
