"""From YAML and the command line to plain values, and from refusals to lines that say how to mend them."""
