"""Simulated swarms: the node's own code in virtual time, and models of larger ones.

`simulations.scenario` is the one file format, `simulations.engines` what runs it,
`simulations.records` how results are kept. The command is ``cocoon sim``.
"""
