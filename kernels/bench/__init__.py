"""Benchmarks of the models on this machine's CPU, beside llama.cpp, whisper.cpp and CTranslate2.

``python -m kernels.bench``. The peers are optional (the extra `peers` in pyproject.toml);
each figure of ours is checked against the NumPy reference before it is timed.
"""
