"""Figures and tables from the gathered tables. Nothing here trains, evaluates or imports Snakemake.

Each part of a study (`fusion`, `certificates`, `sublora`) reads its tables in `frames` and has a module per figure,
which `drawing` finds by name; `plot`, `latex`, `text` and `notes` are what all of them share.
"""
