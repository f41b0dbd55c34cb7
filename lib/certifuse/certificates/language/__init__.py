"""Certificates of language models."""
