"""One class per step of the workflow: its settings, its cell, and the files that its script is handed.

A rule asks a class for the settings of its job (`of`), the script gets them as JSON and its files as options, and the
manifest records them: nothing else describes a step.
"""
