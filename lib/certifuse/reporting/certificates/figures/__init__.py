"""Figures of the certificates, one module each."""
