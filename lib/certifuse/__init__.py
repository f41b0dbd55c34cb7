"""Certifuse: expert fusion and subspace allocation, with generalisation certificates."""

__version__ = "0.1.0"
