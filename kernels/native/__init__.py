"""The optional native kernel: C for the processor, built where a C compiler is there.

Nothing needs it: without it the same models run in NumPy, slower. `library.load`
builds it at the first use (or ``make setup`` does) and keeps it in the user's cache.
"""
