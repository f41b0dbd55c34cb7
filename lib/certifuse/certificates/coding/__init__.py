"""Coder: symbols to bits and back."""
