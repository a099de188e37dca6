"""Attacks on Cocoon's own decoders and on a running provider; `python -m simulations.soak`."""
