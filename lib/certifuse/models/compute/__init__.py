"""Running a network: device, precision, layout, threads, forward passes."""
