"""Commands that run something themselves, or that write what they read from a server into a file."""

import json
import signal

from prefect_client import Prefect
from scenario import ALL, NEWEST, THREE, scenario

from headgate.client.calls import deployments, work_pools
from headgate.schema.states import StateType


@scenario("flow-run execute", extended=True)
def test_a_run_is_executed_without_a_worker(deployed: Prefect) -> None:
    """As the containers of other infrastructure do it."""
    run = deployed.system.create_run("family/one")
    assert deployed.start("flow-run", "execute", str(run)).wait() == 0
    deployed.system.wait_for(run, StateType.COMPLETED)
    deployed.system.wait_for_line(run, "sum 20")


@scenario("shell watch", extended=True)
def test_a_shell_command_is_watched(prefect: Prefect) -> None:
    """It is a flow run, with what it printed as its log."""
    done = prefect.start("shell", "watch", "echo from-a-shell", "--log-output", "--flow-name", "told")
    assert done.wait() == 0, done.text
    [run] = prefect.system.flow_runs()
    assert run.state_type == StateType.COMPLETED
    prefect.system.wait_for_line(run.id, "from-a-shell")


@scenario("shell serve", extended=True)
def test_a_shell_command_is_served(prefect: Prefect) -> None:
    server = prefect.start(
        *("shell", "serve", "echo from-a-shell", "--flow-name", "told", "--deployment-name", "served", "--log-output")
    )
    prefect.system.wait_for_text(server, "is being served")
    run = prefect.system.create_run("told/served")
    prefect.system.wait_for(run, StateType.COMPLETED)
    prefect.system.wait_for_line(run, "from-a-shell")
    server.signal(signal.SIGINT)
    server.wait()


@scenario("init", "deploy", "work-pool create", on=ALL, extended=True)
def test_a_project_that_was_begun_is_deployed(prefect: Prefect) -> None:
    (prefect.directory / "flows.py").write_text("from prefect import flow\n\n\n@flow\ndef first():\n    pass\n")
    prefect("init", "--recipe", "local", "--name", "begun")
    prefect("work-pool", "create", "local", "--type", "process")
    prefect("--no-prompt", "deploy", "flows.py:first", "--name", "one", "--pool", "local")
    made = prefect.system.client.send(deployments.get_by_name("first", "one"))
    assert made.pull_steps is not None
    assert str(prefect.directory) in json.dumps(made.pull_steps)


@scenario("sdk generate", on=(NEWEST,), extended=True)
def test_deployments_are_written_as_code(deployed: Prefect) -> None:
    deployed("sdk", "generate", "--output", "sdk.py")
    assert "family/one" in (deployed.directory / "sdk.py").read_text()


STORAGE = """
from prefect.filesystems import LocalFileSystem
LocalFileSystem(basepath="{path}").save("kept")
"""


@scenario(*(f"experimental result-storage {verb}" for verb in ("inspect", "set", "clear")), on=(NEWEST,), extended=True)
def test_a_storage_for_results_is_chosen(prefect: Prefect) -> None:
    prefect.script(STORAGE.format(path=prefect.directory))
    prefect("experimental", "result-storage", "set", "local-file-system/kept")
    shown = prefect("experimental", "result-storage", "inspect", "-o", "json").json
    assert shown["block"] == "local-file-system/kept"
    prefect("experimental", "result-storage", "clear")
    assert prefect("experimental", "result-storage", "inspect", "-o", "json").json["default_result_storage_block_id"] is None


BUCKETS = """
from prefect.blocks.core import Block

class AwsCredentials(Block):
    _block_type_slug = "aws-credentials"
    region: str

class S3Bucket(Block):
    _block_type_slug = "s3-bucket"
    bucket_name: str
    credentials: AwsCredentials

AwsCredentials(region="somewhere").save("keys")
S3Bucket.register_type_and_schema()
"""
"""Stands for the package that brings these blocks."""


@scenario("work-pool storage configure s3", "work-pool storage inspect", on=THREE, extended=True)
def test_a_pool_is_given_a_storage_for_code(prefect: Prefect) -> None:
    prefect.script(BUCKETS)
    prefect("work-pool", "create", "local", "--type", "process")
    assert prefect("work-pool", "storage", "inspect", "local", "-o", "json").json == {}
    named = ("--bucket", "mine", "--aws-credentials-block-name", "keys")
    prefect("work-pool", "storage", "configure", "s3", "local", *named)
    kept = prefect.system.client.send(work_pools.get("local")).storage_configuration
    assert "mine" in json.dumps([kept.bundle_upload_step, kept.bundle_execution_step])
    shown = prefect("work-pool", "storage", "inspect", "local", "-o", "json").json
    assert shown["type"] == "S3"
    assert "bucket" in json.dumps(shown)


@scenario("server status", on=(NEWEST,))
def test_a_client_asks_whether_the_server_is_there(prefect: Prefect) -> None:
    assert prefect.system.url in prefect("server", "status").text
