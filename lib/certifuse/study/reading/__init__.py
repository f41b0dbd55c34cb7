"""Reading: YAML and the command line to plain values, refusals to lines that say how to mend them."""
