"""The engine's process: `python -m headgate.flows.engine` executes the one run that its environment names, over HTTP.

Started as a worker's helper, it forks such processes instead of being one; see `headgate.flows.warm`.
"""

import os
import sys
from collections.abc import Mapping
from uuid import UUID

from headgate.client.connect import connect
from headgate.errors import ConfigError, HeadgateError
from headgate.flows import stdio
from headgate.flows.execution import Execution
from headgate.flows.reporter import ApiReporter
from headgate.settings import load

EXIT_UNREPORTED = 75
"""The API could not be told, or refused to listen; stderr says why. Other codes are those of `execution`."""


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Execute the run that `HEADGATE__FLOW_RUN_ID` names, with the fence in `HEADGATE__FENCE`; answers the exit code."""
    try:
        settings = load().settings
        run_id, fence = _orders(environ)
        reporter = ApiReporter(
            run_id,
            fence=fence,
            connect=lambda patience: connect(settings, patience=patience),
            patience=settings.api_outage_tolerance,
        )
        try:
            return Execution(reporter, settings=settings).run()
        finally:
            reporter.close()
    except HeadgateError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNREPORTED


def _orders(environ: Mapping[str, str]) -> tuple[UUID, int | None]:
    given, fence = environ.get("HEADGATE__FLOW_RUN_ID", ""), environ.get("HEADGATE__FENCE")
    try:
        return UUID(given), int(fence) if fence else None
    except ValueError:
        raise ConfigError(
            f"HEADGATE__FLOW_RUN_ID={given!r} and HEADGATE__FENCE={fence!r} do not name a run to execute; "
            "workers set them when they start this program."
        ) from None


def _help_if_told() -> None:
    """Return at once in a process for one run; in a helper, return in the processes that it forks for runs."""
    line = os.environ.pop("HEADGATE__HELPER", None)
    if line is not None:
        from headgate.flows.warm.helper import serve  # a process for one run is spared this

        serve(int(line))


if __name__ == "__main__":
    stdio.protect()
    _help_if_told()
    sys.exit(main())
