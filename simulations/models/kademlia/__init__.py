"""Kademlia: routing tables and iterative lookups, with churn, Sybil and eclipse attackers."""
