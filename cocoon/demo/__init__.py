"""The demonstration: a whole market of real processes on one machine."""
