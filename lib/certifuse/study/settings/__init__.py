"""The configuration as frozen typed models, one file per concern. No torch, no file access.

Each step imports only the sections that it uses, so that a new key in one section reruns nothing else.
"""
