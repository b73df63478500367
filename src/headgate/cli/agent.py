"""`headgate agent`: processes that poll queues and start what each deployment asks for."""

from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from headgate.cli.find import every, uuid_of
from headgate.cli.leaving import wait_until_gone
from headgate.cli.options import InSession, LaunchLimit, Output
from headgate.cli.output import Column, UsageError, ago, print_json, print_table, show, warning_line
from headgate.client.calls import agents
from headgate.client.client import Client
from headgate.errors import NotFound
from headgate.schema.agents import Agent
from headgate.schema.filters import AgentFilter, AgentQuery, TextsFilter
from headgate.schema.workers import WorkerStatus

app = App(name="agent")

Api = Annotated[str | None, Parameter(name="--api", metavar="URL", help="The API to talk to; without it HEADGATE_API_URL.")]
HideWelcome = Annotated[bool, Parameter(name="--hide-welcome", help="Do not print the welcome in big letters.")]
Limit = Annotated[int | None, Parameter(name=["--limit", "-l"], help="How many runs may be in progress here at a time.")]
Match = Annotated[
    str | None,
    Parameter(
        name=["--match", "-m"],
        metavar="PREFIX",
        help="Poll all queues whose names start with this, in the pool or else in all untyped ones. New ones are found.",
    ),
]
Pool = Annotated[
    str | None,
    Parameter(name=["--pool", "-p"], help="The work pool to poll; without -q or -m all of its queues. Made if missing."),
]
Prefetch = Annotated[
    float | None,
    Parameter(
        name="--prefetch-seconds",
        help="How long before its time a run may be started; without it HEADGATE_AGENT_PREFETCH_SECONDS.",
    ),
]
RunOnce = Annotated[
    bool,
    Parameter(name="--run-once", negative="--no-run-once", help="Take what is due now, wait until it is done, and leave."),
]
Queues = Annotated[
    list[str] | None,
    Parameter(name=["--work-queue", "-q"], help="Poll this queue only, again for each. Made if missing."),
]

OfPool = Annotated[str | None, Parameter(name=["--pool", "-p"], help="Only agents that poll this work pool by its name.")]
AgentName = Annotated[str, Parameter(help="Id of the agent, or its name when only one agent has it.")]
Wait = Annotated[bool, Parameter(name="--wait", help="Wait until the agent has left: until it is OFFLINE or off the list.")]

_COLUMNS = [
    Column("Name"),
    Column("ID", keep=True),
    Column("Polls"),
    Column("Status", keep=True),
    Column("Draining"),
    Column("Last heartbeat", spare=True),
]


@app.command
def start(
    *,
    api: Api = None,
    hide_welcome: HideWelcome = False,
    limit: Limit = None,
    launch_limit: LaunchLimit = None,
    match: Match = None,
    pool: Pool = None,
    prefetch_seconds: Prefetch = None,
    run_once: RunOnce = False,
    work_queue: Queues = None,
    session: InSession,
) -> int:
    """Start an agent; it runs until Ctrl-C or SIGTERM and finishes its runs before it leaves.

    It polls a work pool, queues of it, or all queues that start with a prefix. Each run goes to the infrastructure of its
    pool's type or, in a pool without one, to the type that its job variable `type` names, by default a process.

    For example:
        headgate agent start --pool my-pool
        headgate agent start --match dev- --limit 5
    """
    settings = session.settings(api_url=api, agent_prefetch_seconds=prefetch_seconds, worker_launch_limit=launch_limit)
    if not (pool or work_queue or match):
        raise UsageError(
            "What is the agent to poll? Give --pool NAME, --work-queue NAME or --match PREFIX; "
            "`headgate work-pool ls` lists all pools."
        )
    if work_queue and match:
        raise UsageError(f"Give --work-queue or --match {match}, not both: an agent polls queues by name or by a prefix.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: an agent needs room for at least one run.")
    # An agent imports an event loop and an HTTP client; `agent ls` and `--help` do without.
    from headgate.worker.agent import Poll
    from headgate.worker.start_agent import run_agent

    return run_agent(
        settings,
        poll=Poll(pool, tuple(work_queue or ()), match),
        limit=limit,
        prefetch_seconds=settings.agent_prefetch_seconds,
        run_once=run_once,
        hide_welcome=hide_welcome,
    )


@app.command
def ls(*, pool: OfPool = None, output: Output = "table", session: InSession) -> None:
    """List agents, those that are online first; an agent that stopped sending heartbeats is OFFLINE.

    For example:
        headgate agent ls
    """
    chosen = AgentFilter(work_pool_name=TextsFilter(any_=[pool])) if pool else None
    with session.client() as client:
        found = every(client, agents.query, AgentQuery(agents=chosen))
    found.sort(key=lambda agent: agent.status is not WorkerStatus.ONLINE)
    if output == "json":
        print_json(found)
        return
    now = session.now()
    rows = [
        (
            agent.name or "",
            str(agent.id),
            _polls(agent),
            agent.status,
            "yes" if agent.draining else "",
            ago(agent.last_heartbeat_time, now),
        )
        for agent in found
    ]
    print_table("Agents", _COLUMNS, rows)


@app.command(name="inspect")
def inspect_(agent: AgentName, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of an agent.

    For example:
        headgate agent inspect kind-nightingale
    """
    with session.client() as client:
        found = _find(client, agent)
    show(found, output, now=session.now())


@app.command
def drain(agent: AgentName, /, *, wait: Wait = False, session: InSession) -> None:
    """Have an agent claim no more runs, finish those that it has, and leave.

    Claimed runs that have not begun go back to their queues at once.

    For example:
        headgate agent drain kind-nightingale --wait
    """
    with session.client() as client:
        found = _find(client, agent)
        client.send(agents.drain(found.id))
        print(f"Agent {_title(found)} drains: it finishes its runs and leaves", flush=True)
        if found.status is WorkerStatus.OFFLINE:
            warning_line(f"Agent {_title(found)} is offline: it learns of this only if it comes back.")
        elif wait:
            wait_until_gone(lambda: _status(client, found.id))
            print(f"Agent {_title(found)} has left")


@app.command
def forget(agent: AgentName, /, *, session: InSession) -> None:
    """Take an agent off the list. It is not stopped: one that still runs is on the list again with its next call.

    For example:
        headgate agent forget kind-nightingale
    """
    with session.client() as client:
        found = _find(client, agent)
        client.send(agents.delete(found.id))
    print(f"Forgot agent {_title(found)}")
    if found.status is WorkerStatus.ONLINE:
        warning_line(f"Agent {_title(found)} was online a moment ago: while it runs, it comes back with its next call.")


def _find(client: Client, text: str) -> Agent:
    missing = NotFound(f"There is no agent {text!r}; `headgate agent ls` lists all.")
    if id := uuid_of(text):
        try:
            return client.send(agents.get(id))
        except NotFound:
            raise missing from None
    match every(client, agents.query, AgentQuery(agents=AgentFilter(name=TextsFilter(any_=[text])))):
        case []:
            raise missing
        case [agent]:
            return agent
        case several:
            raise UsageError(f"Several agents are named {text!r}, give an id: {', '.join(str(it.id) for it in several)}.")


def _status(client: Client, id: UUID) -> WorkerStatus | None:
    try:
        return client.send(agents.get(id)).status
    except NotFound:
        return None


def _title(agent: Agent) -> str:
    return repr(agent.name) if agent.name else str(agent.id)


def _polls(agent: Agent) -> str:
    """What an agent polls, as `pool/queue`; a prefix ends in a star."""
    names = [f"{agent.work_queue_prefix}*"] if agent.work_queue_prefix else agent.work_queue_names
    pool = f"{agent.work_pool_name}/" if agent.work_pool_name else ""
    return ", ".join(f"{pool}{name}" for name in names) or (agent.work_pool_name or "")
