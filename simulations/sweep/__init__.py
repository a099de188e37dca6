"""Sweeps: a scenario for many values and seeds, on local cores, a Dask cluster or any executor."""
