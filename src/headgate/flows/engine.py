"""The engine's process: `python -m headgate.flows.engine` executes the one run that its environment names, over HTTP.

Started as a worker's zygote, it forks such processes instead of being one; see `headgate.flows.warm`.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

from headgate.client.client import Client
from headgate.client.connect import client_over, connect, transport_of
from headgate.errors import ConfigError, HeadgateError
from headgate.flows import stdio
from headgate.flows.execution import Execution
from headgate.flows.reporter import ApiReporter
from headgate.settings import Settings, load

if TYPE_CHECKING:
    from headgate.flows.warm.relay import Provision

EXIT_UNREPORTED = 75
"""The API could not be told, or refused to listen; stderr says why. Other codes are those of `execution`."""


def main(environ: Mapping[str, str] = os.environ, provision: "Provision | None" = None) -> int:
    """Execute the run that `HEADGATE__FLOW_RUN_ID` names, with the fence in `HEADGATE__FENCE`; answers the exit code.

    `provision` is what a forked process was given.
    """
    try:
        settings = load().settings
        run_id, fence = _orders(environ)
        with _connector(settings, provision) as connector:
            reporter = ApiReporter(
                run_id,
                fence=fence,
                connect=connector,
                patience=settings.api_outage_tolerance,
                assignment=provision.assignment if provision else None,
            )
            try:
                return Execution(reporter, settings=settings).run()
            finally:
                reporter.close()
    except HeadgateError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNREPORTED


@contextmanager
def _connector(settings: Settings, provision: "Provision | None") -> Iterator[Callable[[float], Client]]:
    """Makes clients that keep trying for so many seconds."""
    if provision is None or provision.line is None:
        yield lambda patience: connect(settings, patience=patience)
        return
    from headgate.flows.warm.relay import RelayTransport  # imported already, in this case

    transport = RelayTransport(provision.line, lambda: transport_of(settings))
    try:
        yield lambda patience: client_over(transport, settings, patience=patience)
    finally:
        transport.hang_up()


def _orders(environ: Mapping[str, str]) -> tuple[UUID, int | None]:
    given, fence = environ.get("HEADGATE__FLOW_RUN_ID", ""), environ.get("HEADGATE__FENCE")
    try:
        return UUID(given), int(fence) if fence else None
    except ValueError:
        raise ConfigError(
            f"HEADGATE__FLOW_RUN_ID={given!r} and HEADGATE__FENCE={fence!r} do not name a run to execute; "
            "workers set them when they start this program."
        ) from None


def _fork_if_told() -> "Provision | None":
    """Return at once in a process for one run; in a zygote, return in the processes that it forks for runs."""
    line = os.environ.pop("HEADGATE__ZYGOTE", None)
    if line is None:
        return None
    from headgate.flows.warm.zygote import serve  # a process for one run is spared this

    return serve(int(line))


def _leave(code: int, provision: "Provision | None") -> NoReturn:
    if provision is None:
        sys.exit(code)
    from headgate.flows.warm.ending import leave  # imported already, in this case

    leave(code)


if __name__ == "__main__":
    stdio.protect()
    _provision = _fork_if_told()
    _leave(main(provision=_provision), _provision)
