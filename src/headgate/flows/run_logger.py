"""Log lines of a run: the logger that user code asks for, and how its lines look on the console."""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

from headgate.errors import ConfigError, HeadgateError
from headgate.flows.context import RunContext, current
from headgate.settings import Settings, load

LOGGER = logging.getLogger("headgate.flow_runs")
"""Every line of a run goes through here; the engine adds the handler that sends them to the API."""


class NotInRun(HeadgateError):
    """Something was asked of a run where there is none."""


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the run's `flow_run_id`, `flow_run_name` and `flow_name` on every record, beside what the caller adds."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """The message as it is, its `extra` completed."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """The logger of the present run, also in threads that the flow started.

    Under an engine its lines go to the API; when the flow was called directly they go to the console only.
    Raises `NotInRun` outside of a flow.
    """
    context = current()
    if context is None:
        raise NotInRun("There is no run here: get_run_logger() works inside a flow. Elsewhere use logging.getLogger().")
    return logger_of(context)


def logger_of(context: RunContext) -> RunLogger:
    """The logger of a run."""
    return RunLogger(LOGGER, facts_of(context))


def facts_of(context: RunContext) -> dict[str, Any]:
    """What every record of a run carries."""
    run = context.flow_run
    return {"flow_run_id": run.id, "flow_run_name": run.name, "flow_name": context.flow_name}


def show_on_console() -> None:
    """Have the lines of runs written to stderr, from the level that the settings name; called again, changes nothing."""
    if not any(isinstance(handler, _Console) for handler in LOGGER.handlers):
        LOGGER.addHandler(_Console())
        if LOGGER.level == logging.NOTSET:
            set_level(load().settings)


def set_level(settings: Settings) -> None:
    """Take the lowest level of runs' lines from the settings; `ConfigError` when it is none."""
    try:
        LOGGER.setLevel(settings.logging_level.upper())
    except ValueError:
        raise ConfigError(
            f"HEADGATE_LOGGING_LEVEL={settings.logging_level!r} is no level; "
            "levels are DEBUG, INFO, WARNING, ERROR and CRITICAL."
        ) from None


class _Console(logging.Handler):
    """Writes to whatever stderr is now; keeps silent when the program has handlers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_Format())

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line, and its traceback below."""
        if logging.root.handlers:
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class _Format(logging.Formatter):
    """`09:30:00.250 | INFO    | Flow run 'name' - message`."""

    def __init__(self) -> None:
        super().__init__()
        self._second = (0, "")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback."""
        second = int(record.created)
        if self._second[0] != second:
            self._second = (second, time.strftime("%H:%M:%S", time.localtime(second)))
        name = getattr(record, "flow_run_name", None)
        run = f"Flow run {name!r} - " if name else ""
        return f"{self._second[1]}.{int(record.msecs):03} | {record.levelname:<7} | {run}{record.message}"
