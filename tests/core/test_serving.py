"""The command that starts what executes the runs of a pool: an agent where it has no type, else a worker."""

import pytest

from headgate.core.serving import server_of, start_command


@pytest.mark.parametrize(
    ("type", "queue", "server", "command"),
    [
        ("process", None, "a worker", "headgate worker start --pool p"),
        ("process", "q", "a worker", "headgate worker start --pool p --work-queue q"),
        ("prefect-agent", None, "an agent", "headgate agent start -p p"),
        ("prefect-agent", "q", "an agent", "headgate agent start --pool p --work-queue q"),
    ],
)
def test_what_starts_one(type: str, queue: str | None, server: str, command: str) -> None:
    assert server_of(type) == server
    assert start_command("p", type, queue=queue) == command
