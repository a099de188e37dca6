"""GossipSub: one message through a million peers, and whole routers with heartbeats and scores."""
