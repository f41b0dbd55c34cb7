"""Scores, calibration, combination rules, diversity and paired statistics: pure functions, arrays in, numbers out.

Accuracies and errors are fractions in [0, 1], losses are in nats. Nothing here reads or writes a file, or plots.
"""
