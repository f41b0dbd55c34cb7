"""Figures of the SubLoRA study, one module each."""
