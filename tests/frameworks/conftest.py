"""Where the tests of clients keep what must be true of every run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))
