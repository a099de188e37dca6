"""Vectorised models of the swarm and its market: NumPy arrays and kernels that numba compiles.

Every model is deterministic: randomness is a hash of (seed, stream, counter), never the
state of a shared generator, so results do not depend on threads, processes or order.
Times are whole microseconds (`int64` or `int32`), money is whole nanotons.
`docs/models-of-the-swarm.md` says what each leaves out.
"""
