"""The machine that runs these may be busy: no deadline for a single Hypothesis example."""

from hypothesis import settings

settings.register_profile("market", deadline=None)
settings.load_profile("market")
