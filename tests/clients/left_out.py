"""Commands of clients that no test runs, each with the reason; `docs/reference/compatibility.md` shows them."""

from collections.abc import Iterable, Mapping

LEFT_OUT: Mapping[str, str] = {
    "cloud": "speaks to another service",
    "dashboard open": "opens a browser at the pages of the server",
    "dev": "builds that project itself",
    "experimental plugins diagnose": "speaks to no server",
    "kubernetes manifest": "prints a manifest, and speaks to no server",
    "profile populate-defaults": "writes a file, and speaks to no server",
    "server database": "works on that server's own database",
    "server services": "works on that server's own services",
    "server start": "starts that server",
    "server stop": "stops that server",
    "work-pool provision-infra": "speaks to a cloud provider, before the pool is made",
    "work-pool storage configure azure-blob-storage": "does what `configure s3` does, for another provider",
    "work-pool storage configure gcs": "does what `configure s3` does, for another provider",
}
"""By the command, or by what its subcommands have in common."""

SAME: Mapping[str, str] = {
    "automation disable": "automation pause",
    "automation enable": "automation resume",
    "blocks": "block",
    "deploy init": "init",
    "events": "event",
    "flows": "flow",
    "gcl": "global-concurrency-limit",
    "plugins": "experimental plugins",
    "work-pool provision-infrastructure": "work-pool provision-infra",
    "work-queues": "work-queue",
} | {
    f"{noun}s": noun
    for noun in (
        "automation",
        "concurrency-limit",
        "deployment",
        "flow-run",
        "profile",
        "task-run",
        "variable",
        "work-pool",
        "worker",
    )
}
"""Other names of the same."""


def is_left_out(command: str) -> bool:
    """Whether the command, under whichever of its names, is among them."""
    return any(command == each or command.startswith(f"{each} ") for each in LEFT_OUT)


def chief(command: str) -> str:
    """The name under which a command is tested."""
    command = command.replace("block types", "block type").replace("blocks types", "block type")
    for other, name in SAME.items():
        if command == other or command.startswith(f"{other} "):
            return chief(name + command[len(other) :])
    return command


def uncovered(commands: Iterable[str], covered: Iterable[str]) -> list[str]:
    """Those that no test runs, and for which there is no reason."""
    known = set(covered)
    return sorted({name for name in map(chief, commands) if name not in known and not is_left_out(name)})


def render() -> str:
    """The reasons as a Markdown table."""
    rows = "".join(f"| `{command}` | {reason} |\n" for command, reason in sorted(LEFT_OUT.items()))
    return f"| not run | because it |\n| --- | --- |\n{rows}"
