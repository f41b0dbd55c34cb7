"""Sources of documents: one module each, of the name of the source, with its `read` and its `SETTINGS`."""
