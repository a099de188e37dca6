"""What the tests of all parts of the node share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # offerings.py
