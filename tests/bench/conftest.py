"""Makes the package `bench`, which is not installed, and the results beside this file importable by the tests here."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
