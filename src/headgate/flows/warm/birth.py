"""From a fork to the process of a run: it takes over what a process that is started anew would be given."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from headgate.flows.reporter import Assignment
from headgate.flows.warm import chance, traces
from headgate.flows.warm.preload import Imported
from headgate.flows.warm.relay import Provision
from headgate.flows.warm.wire import Begun, Birth, Refused, send

PER_RUN = frozenset({"HEADGATE__FLOW_RUN_ID", "HEADGATE__FENCE"})
"""What differs between runs of the same code in the same environment."""


def begin(order: Birth, line: int, output: int, *, imported: Imported | None) -> Provision:
    """Become the process that the order describes, and say so on `line`.

    A session of its own, nothing to read on stdin, stdout and stderr at `output`, no other open file but `line`.
    Raises when that is not possible, or nobody wants it any more; the process must not go on then.
    """
    worker = socket.socket(fileno=line)
    try:
        os.setsid()
        os.chdir(order.directory)
        _connect(output)
        traces.close_all_but(0, 1, 2, line)
        _enter_environment(order.environment, kept=imported is not None)
        chance.renew(imported.generators if imported else ())
        assignment = msgspec.json.decode(order.assignment, type=Assignment) if order.assignment else None
        pidfd = os.pidfd_open(os.getpid())
    except (OSError, msgspec.DecodeError) as error:
        send(worker, Refused(order.order, str(error)))
        raise
    send(worker, Begun(os.getpid()), [pidfd])
    os.close(pidfd)
    if not order.relayed:
        worker.close()
    if imported is not None:
        _repeat(imported.output)
    return Provision(assignment, worker if order.relayed else None)


def _connect(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _repeat(output: bytes) -> None:
    """Write what the code wrote when it was imported: each run would have."""
    with suppress(OSError):
        while output:
            output = output[os.write(1, output) :]


def _enter_environment(environment: Mapping[bytes, bytes], *, kept: bool) -> None:
    """Have exactly this environment; `kept`: the zygote has it already, with what the flow's code changed in it."""
    if kept:
        os.environb.update({name: environment[name] for name in map(os.fsencode, PER_RUN) if name in environment})
        return
    for name in os.environb.keys() - environment.keys():
        del os.environb[name]
    os.environb.update(environment)
