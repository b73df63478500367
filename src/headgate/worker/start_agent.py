"""`headgate agent start`: from its options to an agent that runs until it is told to stop."""

import asyncio

import msgspec

from headgate.client.client import AsyncClient
from headgate.client.connect import connect_async
from headgate.errors import ConfigError
from headgate.schema.claims import Prefix
from headgate.schema.flows import Name
from headgate.settings import Settings
from headgate.worker.agent import Agent, Poll
from headgate.worker.running import Say, Signals, check, logging_to_stderr
from headgate.worker.types import installed_types
from headgate.worker.waiting import first_of

WELCOME = """
  #  # ####  ##  ###   ###  ##  ##### ####     ##   ### #### #  # #####
  #  # #    #  # #  # #    #  #   #   #       #  # #    #    ## #   #
  #### ###  #### #  # # ## ####   #   ###     #### # ## ###  # ##   #
  #  # #    #  # #  # #  # #  #   #   #       #  # #  # #    #  #   #
  #  # #### #  # ###   ### #  #   #   ####    #  #  ### #### #  #   #
"""


def run_agent(
    settings: Settings,
    *,
    poll: Poll,
    limit: int | None = None,
    prefetch_seconds: float | None = None,
    run_once: bool = False,
    hide_welcome: bool = False,
) -> int:
    """Run an agent in this process; the exit code.

    The first SIGINT or SIGTERM lets its runs end within `worker_shutdown_grace_seconds`, the second ends them at once.
    Raises `HeadgateError` when it would poll nothing, or what it cannot have.
    """
    check(settings, limit, who="An agent")
    check_poll(poll)
    with logging_to_stderr(settings.logging_level):
        return asyncio.run(
            start_agent(
                settings,
                poll=poll,
                limit=limit,
                prefetch_seconds=prefetch_seconds,
                run_once=run_once,
                hide_welcome=hide_welcome,
            )
        )


async def start_agent(
    settings: Settings,
    *,
    poll: Poll,
    limit: int | None = None,
    prefetch_seconds: float | None = None,
    run_once: bool = False,
    hide_welcome: bool = False,
    client: AsyncClient | None = None,
    say: Say = lambda line: print(line, flush=True),
) -> int:
    """`run_agent` inside an event loop, with `client` in place of the one that the settings ask for."""
    api = "with ephemeral API" if settings.api_url is None else f"connected to {settings.api_url}"
    say(f"Starting agent {api}...")
    if not hide_welcome:
        say(WELCOME)
    client = client or connect_async(settings, patience=0.0)
    async with client:
        with Signals() as signals:
            agent = signals.holder = Agent(
                poll=poll,
                types=installed_types(),
                client=client,
                settings=settings,
                limit=limit,
                prefetch_seconds=prefetch_seconds,
            )
            await first_of(agent.join(), signals.first)
            if not signals.first.is_set():
                say(f"Agent started! Looking for work from {poll}...")
                await agent.run(once=run_once)
            say("Agent stopped!")
    return agent.exit_code


def check_poll(poll: Poll) -> None:
    """Raise `ConfigError` for an agent that would poll nothing, two things at once, or what has no possible name."""
    if not (poll.pool or poll.queues or poll.match):
        raise ConfigError("What is the agent to poll? Name a work pool, work queues, or a prefix of work queues.")
    if poll.queues and poll.match:
        raise ConfigError(f"An agent polls work queues by their names or by a prefix ({poll.match!r}), not both.")
    for kind, name in ((Name, poll.pool), *((Name, queue) for queue in poll.queues), (Prefix, poll.match)):
        try:
            msgspec.convert(name, kind | None)
        except msgspec.ValidationError:
            raise ConfigError(f"{name!r} cannot be polled: a name needs a letter, and none of / % & > <.") from None
