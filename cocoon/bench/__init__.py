"""Measures what the market costs: ``python -m cocoon.bench``. Real processes, real jobs."""
