"""The market's pure cores: prices, quotes, the book of them, matching and negotiation.

Nothing here does I/O, reads a clock or draws a random number of its own: the
time and the `random.Random` are arguments.
"""
