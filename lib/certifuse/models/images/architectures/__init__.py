"""The expert architectures. One module each, of the architecture's name, with `NETWORK` and its `SETTINGS`."""
