"""How often a process that answers many requests looks for garbage that hangs together in cycles."""

import gc

OBJECTS = 20_000
"""So many more objects made than freed since the last look bring the next; with Python's own 700 the looks took a fifth of
the CPU time of a write of log lines."""


def collect_rarely() -> None:
    """Look less often, and no more at what is there by now: requests leave hardly any cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS)
