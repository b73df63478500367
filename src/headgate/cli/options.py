"""Options that several commands take, each with its names and its help once."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from headgate.cli.session import Session

InSession = Annotated[Session, Parameter(parse=False)]
"""Not an option: the session, which the dispatcher passes in."""

Output = Annotated[
    Literal["table", "json"],
    Parameter(name=["--output", "-o"], help="For people, or for programs: exactly the API's records."),
]

Verbose = Annotated[bool, Parameter(name=["--verbose", "-v"], help="Show more of each, also why it is paused.")]

Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask for confirmation.")]

DryRun = Annotated[bool, Parameter(name="--dry-run", help="Only say what it would concern; change nothing.")]

PoolName = Annotated[str, Parameter(help="Name of the work pool, or its id.")]

QueueName = Annotated[str, Parameter(help="Name of the queue.")]

QueuePool = Annotated[
    str | None,
    Parameter(name=["--pool", "-p"], help="The queue's work pool; needed when several pools have a queue of that name."),
]

DeploymentName = Annotated[str, Parameter(help="FLOW/DEPLOYMENT, or the deployment's id.")]

FlowRunName = Annotated[str, Parameter(help="Id of the flow run, or its name when only one run has it.")]

Params = Annotated[
    list[str] | None,
    Parameter(
        name=["--param", "-p"],
        metavar="KEY=VALUE",
        help="A parameter of the flow, again for each. The value is read as JSON if it is JSON, else as text.",
    ),
]

ParamsJson = Annotated[
    str | None,
    Parameter(
        name="--params",
        metavar="JSON",
        allow_leading_hyphen=True,
        help="Parameters as one JSON object; `-` reads it from stdin.",
    ),
]

JobVariables = Annotated[
    list[str] | None,
    Parameter(
        name=["--job-variable", "-jv"],
        metavar="KEY=VALUE",
        help="A variable of the pool's base job template, again for each; the value as for --param.",
    ),
]

Tags = Annotated[list[str] | None, Parameter(name="--tag", help="A tag, again for each.")]

Template = Annotated[
    Path | None,
    Parameter(name="--base-job-template", metavar="FILE", help="JSON file with the template, in place of the type's."),
]

Description = Annotated[str | None, Parameter(name="--description", help="What it is for.")]

FairShare = Annotated[
    bool | None,
    Parameter(
        name="--fair-share",
        negative="--no-fair-share",
        help="Among runs of the same priority, those of the deployment with the fewest under way go first.",
    ),
]

PoolLimit = Annotated[
    int | None, Parameter(name="--concurrency-limit", help="How many of its runs may be in progress at a time.")
]

QueueLimit = Annotated[
    int | None, Parameter(name=["--limit", "-l"], help="How many of its runs may be in progress at a time.")
]

Slots = Annotated[int, Parameter(help="How many runs may be in progress at a time; 0 holds all back.")]

LaunchLimit = Annotated[
    int | None,
    Parameter(name="--launch-limit", metavar="NUMBER", help="How many runs may be being started here at a time."),
]

Hours = Annotated[float, Parameter(name="--hours", help="How many hours to look ahead.")]
