"""Sources of images: one module each, of the name of the source, with its `load` and its `SETTINGS`."""
