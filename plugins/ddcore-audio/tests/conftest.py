"""The tests' own folder is importable, for `toy`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
