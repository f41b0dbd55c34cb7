"""Figures and tables from tidy data frames. Nothing here trains, evaluates or imports Snakemake.

`frames` reads what the workflow gathered, `runs` reduces it, each figure has a module of its own, and `figures` lists
them by name.
"""
