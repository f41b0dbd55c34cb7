"""Losses and ranks of tokens and documents: arrays in, numbers out."""
