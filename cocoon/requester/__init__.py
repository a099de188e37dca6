"""Buys compute: discovery, negotiation, the job session, fail-over and payment."""
