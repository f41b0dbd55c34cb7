"""Figures of the fusion study, one module each."""
