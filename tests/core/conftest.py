"""Property tests of the rules: the same examples in every run, and no limit on a slow machine's time."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("core", derandomize=True, deadline=None)
settings.load_profile("core")
