"""One study: its configuration, cells, steps, paths and the files that its rules wait for. No torch, no pandas."""
