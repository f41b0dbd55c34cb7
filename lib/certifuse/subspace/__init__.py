"""Random subspaces of parameter space: projectors and networks that live in them."""
