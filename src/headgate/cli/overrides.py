"""What flags of `headgate deploy` say about a deployment, and how that goes over what its file says."""

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from headgate.cli.options import JobVariables
from headgate.cli.output import UsageError
from headgate.cli.project import Raw
from headgate.cli.values import json_or_text, pairs
from headgate.core.templates import overlay

Command = Annotated[
    str | None, Parameter(name="--command", help="A command line to run in place of a flow; no shell is involved.")
]
Pool = Annotated[
    str | None, Parameter(name=["--pool", "-p"], help="The work pool; without it HEADGATE_DEFAULT_WORK_POOL_NAME.")
]
Queue = Annotated[str | None, Parameter(name=["--work-queue", "-q"], help="The pool's queue; without it `default`.")]
Cron = Annotated[str | None, Parameter(name="--cron", help="Run by this cron expression, such as '0 3 * * *'.")]
Interval = Annotated[
    str | None, Parameter(name="--interval", metavar="TIME", help="Run this often: seconds, or 15m, 1h30m.")
]
Rrule = Annotated[str | None, Parameter(name="--rrule", help="Run by this recurrence rule, such as 'FREQ=DAILY'.")]
Timezone = Annotated[str | None, Parameter(name="--timezone", help="IANA name of the schedule's time zone; without it UTC.")]
Params = Annotated[
    list[str] | None,
    Parameter(
        name="--param",
        metavar="KEY=VALUE",
        help="A parameter of its runs, again for each. The value is read as JSON if it is JSON, else as text.",
    ),
]
Tags = Annotated[list[str] | None, Parameter(name=["--tag", "-t"], help="A tag, again for each.")]
Version = Annotated[str | None, Parameter(name=["--version", "-v"], help="Its version; without it the flow's.")]
Description = Annotated[
    str | None, Parameter(name=["--description", "-d"], help="What it is for; without it the flow's own.")
]
Limit = Annotated[
    int | None,
    Parameter(name=["--concurrency-limit", "-cl"], help="How many of its runs may be in progress at a time."),
]
Key = Annotated[
    str | None,
    Parameter(
        name="--concurrency-key",
        metavar="TEXT",
        help="Runs for which this comes to the same run one at a time: '{{ parameters.customer }}'.",
    ),
]
InfraRetries = Annotated[
    int | None,
    Parameter(name="--infra-retries", help="How often a run that lost its infrastructure is given other."),
]
Paused = Annotated[bool, Parameter(name="--paused", help="Write it paused: no run starts until it is resumed.")]


@dataclass(frozen=True, slots=True)
class Overrides:
    """The flags; what was not given is None or empty. `param` waits for the flow, which says which values are text."""

    command: Command = None
    pool: Pool = None
    work_queue: Queue = None
    cron: Cron = None
    interval: Interval = None
    rrule: Rrule = None
    timezone: Timezone = None
    param: Params = None
    job_variable: JobVariables = None
    tag: Tags = None
    version: Version = None
    description: Description = None
    concurrency_limit: Limit = None
    concurrency_key: Key = None
    infra_retries: InfraRetries = None
    paused: Paused = False

    def over(self, raw: Raw) -> dict[str, Any]:
        """An entry of the file with the flags in their places."""
        entry = dict(raw)
        for key in ("version", "description", "concurrency_limit", "infra_retries"):
            if (value := getattr(self, key)) is not None:
                entry[key] = value
        if self.concurrency_key is not None:
            before = entry.get("concurrency_key")
            rest = before if isinstance(before, dict) else {}
            entry["concurrency_key"] = {**rest, "expression": self.concurrency_key}
        if self.command is not None:
            entry |= {"command": self.command, "entrypoint": None}
        if self.tag is not None:
            entry["tags"] = self.tag
        if self.paused:
            entry["paused"] = True
        if schedule := self._schedule():
            entry |= {"schedule": None, "schedules": [schedule]}
        if pool := self._pool(entry.get("work_pool") or {}):
            entry["work_pool"] = pool
        return entry

    def _schedule(self) -> dict[str, Any] | None:
        kinds = {"cron": self.cron, "interval": self.interval, "rrule": self.rrule}
        given = {kind: value for kind, value in kinds.items() if value is not None}
        if len(given) > 1:
            raise UsageError("Of --cron, --interval and --rrule only one can be given; a file takes several schedules.")
        if not given and self.timezone:
            raise UsageError("--timezone belongs to a schedule: give --cron, --interval or --rrule with it.")
        return given | {"timezone": self.timezone} if given else None

    def _pool(self, before: Raw) -> dict[str, Any]:
        pool = dict(before)
        if self.pool is not None:
            pool["name"] = self.pool
        if self.work_queue is not None:
            pool["work_queue_name"] = self.work_queue
        if self.job_variable is not None:
            given = {key: json_or_text(text) for key, text in pairs(self.job_variable, option="--job-variable").items()}
            pool["job_variables"] = overlay(pool.get("job_variables") or {}, given)
        return pool
