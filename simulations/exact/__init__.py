"""The exact engine: the production protocol cores under seeded events, faults and checkers.

`simulations.exact.world.World` is one swarm; `simulations.exact.run` the engine; a failure is
replayed and shrunk by `simulations.exact.shrink`.
"""
