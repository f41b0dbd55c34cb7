"""Certificates of image classifiers."""
