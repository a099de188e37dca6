"""Simulated swarms. The engines and models arrive with the simulation milestone; nothing yet."""
