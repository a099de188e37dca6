"""The whole-node engine: complete nodes, their trio services included, in virtual time.

`simulations.whole.virtual` makes time, `simulations.whole.swarm` the nodes, on
`overlay.memory` or on unmodified py-libp2p hosts over an in-memory transport. The chain is
`simulations.whole.chain` (a ledger behind the production port) and the workers are
`simulations.whole.stub`: both are labelled as what they are in every result.
"""
