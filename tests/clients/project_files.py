"""A project as a user of the client has it: flows, and a `prefect.yaml` that deploys them."""

from pathlib import Path

from prefect_client import Prefect

FLOWS = """
import time
from pathlib import Path

from prefect import flow, task


@task
def double(n):
    return 2 * n


@task(retries=1, retry_delay_seconds=0)
def fickle(marker):
    if not Path(marker).exists():
        Path(marker).touch()
        raise ValueError("the first try")
    return "the second try"


@flow
def child(n: int):
    return double(n)


@flow(log_prints=True)
def family(n: int = 3, name: str = "nobody", marker: str = "fickle.marker"):
    print(f"hello {name}")
    print(fickle(str(Path(__file__).parent / marker)))
    print(f"sum {double(n) + child(n)}")


@flow
def broken():
    raise ValueError("on purpose")


@flow(log_prints=True)
def lasting():
    print("begun")
    time.sleep(300)
"""

DEPLOYMENTS = """
deployments:
- name: one
  entrypoint: flows.py:family
  description: told
  tags: [a, b]
  parameters: {n: 5}
  schedules:
  - {interval: 3600, slug: hourly}
  - {cron: "0 9 * * *", timezone: Europe/Berlin, active: false, slug: daily}
  work_pool: {name: local, work_queue_name: special, job_variables: {env: {WORD: here}}}
- name: two
  entrypoint: flows.py:broken
  work_pool: {name: local}
- name: three
  entrypoint: flows.py:lasting
  work_pool: {name: local}
"""


def write_project(directory: Path) -> None:
    """The files of the project."""
    (directory / "flows.py").write_text(FLOWS)
    (directory / "prefect.yaml").write_text(DEPLOYMENTS)


def with_project(client: Prefect) -> Prefect:
    """Deploy the project to a new pool `local`."""
    write_project(client.directory)
    client("work-pool", "create", "local", "--type", "process")
    client("--no-prompt", "deploy", "--all")
    return client
