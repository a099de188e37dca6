"""Circuit relay v2: a node that only dials out is reached through one that listens."""
