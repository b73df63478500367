"""What becomes of SIGTERM while user code runs."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

FORKS = """
import os, signal
from headgate.flows.interrupts import Interrupts
with Interrupts().installed():
    for _ in range(100):
        child = os.fork()
        if not child:
            while True:
                signal.pause()
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGTERM
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""


def test_a_child_that_is_ended_as_soon_as_it_is_forked_ends() -> None:
    """As a pool of processes does that has nothing more to do when its last one starts."""
    process = subprocess.Popen([sys.executable, "-c", FORKS], start_new_session=True)
    try:
        assert process.wait(timeout=30) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
