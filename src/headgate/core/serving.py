"""Who executes the runs of a pool: the words and the command to type next."""

from headgate.schema.work_pools import UNTYPED


def server_of(type: str) -> str:
    """`an agent` for pools without a type, else `a worker`."""
    return "an agent" if type == UNTYPED else "a worker"


def start_command(pool: str, type: str, *, queue: str | None = None) -> str:
    """What starts one for a pool, or for one of its queues; names are as a shell takes them."""
    server = "agent" if type == UNTYPED else "worker"
    if queue is not None:
        return f"headgate {server} start --pool {pool} --work-queue {queue}"
    return f"headgate agent start -p {pool}" if type == UNTYPED else f"headgate worker start --pool {pool}"
