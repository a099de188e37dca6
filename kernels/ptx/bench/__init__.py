"""Speed of the PTX route beside plain C: ``python -m kernels.ptx.bench``."""
