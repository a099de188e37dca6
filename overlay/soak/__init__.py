"""Faults and attacks, counted: `python -m overlay.soak`. Too long for every test run."""
