"""Certificates: their content, how one is issued, and how anyone verifies it."""
