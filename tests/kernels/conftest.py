"""Fixtures for the compute engine's tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # model_files.py, beside us
