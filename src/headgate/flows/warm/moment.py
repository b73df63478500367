"""What code learns while it is imported that a later process would learn otherwise: the time, chance, answers of others."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKED = {
    "the time": """time time_ns now utcnow today localtime gmtime ctime asctime strftime monotonic monotonic_ns
        perf_counter perf_counter_ns process_time clock_gettime clock_gettime_ns""",
    "chance": "urandom getrandom _generate_time_safe UuidCreate token_bytes RAND_bytes",
    "its process id": "getpid getppid gettid",
    "others over the network or a database": "connect connect_ex getaddrinfo sendto do_handshake",
    "another program": "fork_exec posix_spawn posix_spawnp system fork forkpty",
    "what is in a directory": "listdir scandir",
}
"""Names of functions of C, by what they ask for. Those of other libraries with such names count as well: a module that is
imported by each run though it need not be costs time and nothing else."""

_OF_FUNCTION = {name: what for what, names in ASKED.items() for name in names.split()}
_IMPORTS = "<frozen importlib"


@contextmanager
def noted(is_own: Callable[[str], bool]) -> Iterator[set[str]]:
    """Inside, what the user's code asks for is collected; `is_own` says by its path whether code is the user's.

    Only what that code does itself, or has libraries do for it: a library that asks for something while it is imported
    does so for itself, as it did in the process that the engine was imported in.
    """
    asked: set[str] = set()

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and (what := _OF_FUNCTION.get(getattr(function, "__name__", ""))) and _is_for(frame, is_own):
            asked.add(what)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield asked
    finally:
        sys.setprofile(before)


def _is_for(frame: FrameType | None, is_own: Callable[[str], bool]) -> bool:
    """Whether the user's code called what runs here, or something that did, and not an import on its way."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_IMPORTS):
            return False
        if is_own(path):
            return True
        frame = frame.f_back
    return False
