"""Scores, calibration, diversity and decisions of image classifiers: arrays in, numbers out."""
