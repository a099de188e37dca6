"""Speed of the models per CPU-second of one core, beside peers that run at the same time."""
