"""Rendezvous points: where nodes of one namespace leave their addresses for each other."""
