"""The table of commands: what each is called, where it lives, what it is for. Nothing of it is imported until it is used."""

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """A command or, for a noun, a set of them; `target` is `module:name`."""

    target: str
    help: str


COMMANDS: Mapping[str, Command] = {
    "server": Command("headgate.cli.server:app", "Start, stop and look after the API server and its database."),
    "work-pool": Command("headgate.cli.work_pool:app", "Create and look after work pools."),
    "work-queue": Command("headgate.cli.work_queue:app", "Create and look after the queues of work pools."),
    "worker": Command("headgate.cli.worker:app", "Start workers, see which are online, drain and forget them."),
    "agent": Command("headgate.cli.agent:app", "Start agents, see which are online, drain and forget them."),
    "deploy": Command("headgate.cli.deploy:deploy", "Create or update deployments, from a file or from flags."),
    "apply": Command("headgate.cli.apply:apply", "Bring the server to what a file says, differences shown first."),
    "export": Command("headgate.cli.export:export", "Write what the server holds to a file that apply takes."),
    "import": Command("headgate.cli.imports:app", "Copy what another server holds into this one."),
    "deployment": Command("headgate.cli.deployment:app", "See, run, pause and delete deployments."),
    "flow-run": Command("headgate.cli.flow_run:app", "See, explain, cancel and delete flow runs, and read their logs."),
    "flow": Command("headgate.cli.flow:app", "See flows."),
    "global-concurrency-limit": Command(
        "headgate.cli.global_concurrency_limit:app", "Limit how many of anything run at a time, or how often."
    ),
    "concurrency-limit": Command("headgate.cli.concurrency_limit:app", "Limit the task runs with a tag."),
    "variable": Command("headgate.cli.variable:app", "Keep values that jobs refer to by name."),
    "secret": Command("headgate.cli.secret:app", "Keep values that jobs need and nobody should read."),
    "config": Command("headgate.cli.config:app", "See and change settings."),
    "profile": Command("headgate.cli.profile:app", "Keep several sets of settings and switch between them."),
    "version": Command("headgate.cli.version:version", "Say which version this is, and which API it talks to."),
}

ALIASES: Mapping[str, str] = {"gcl": "global-concurrency-limit"}
"""Short names that users of such systems have in their fingers."""

_ROOT_HELP = """\
Usage: headgate [--profile NAME] [--debug] COMMAND

A work-pool orchestrator: deployments and schedules create flow runs, work pools
release them to workers, and workers run them.

First steps, each in a terminal of its own where it keeps running:
  headgate server start
  headgate work-pool create local --type process
  headgate worker start --pool local
  headgate deploy flows.py:hello --name hello --pool local
  headgate deployment run hello/hello --watch

Commands:
{commands}

Global options:
  --profile NAME  Use the settings of this profile, for this command only.
  --debug         On an error, show where it came from.
  --version       Print the version.
  --help          Explain a command: headgate COMMAND --help.

Exit codes: 0 done, 1 failed or refused, 2 the command line is wrong."""


_LONGEST = 12
"""Names over so many characters have a line of their own."""


def _beside(name: str, width: int) -> str:
    return f"{name:<{width}}" if len(name) <= _LONGEST else f"{name}\n  {'':<{width}}"


def root_help() -> str:
    """What `headgate --help` prints."""
    width = max(len(name) for name in COMMANDS if len(name) <= _LONGEST) + 2
    lines = (f"  {_beside(name, width)}{command.help}" for name, command in COMMANDS.items())
    return _ROOT_HELP.format(commands="\n".join(lines))
