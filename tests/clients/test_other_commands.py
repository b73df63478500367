"""Limits, variables, blocks, artifacts and profiles, as far as the commands about them speak to a server."""

from prefect_client import Prefect
from scenario import ALL, THREE, scenario

from headgate.client.calls import task_runs, work_pools

LIMIT = "global-concurrency-limit"


@scenario(*(f"{LIMIT} {verb}" for verb in ("create", "ls", "inspect", "update", "disable", "enable", "delete")))
def test_a_global_limit_is_made_changed_and_deleted(prefect: Prefect) -> None:
    prefect(LIMIT, "create", "g", "--limit", "3")
    assert "already exists" in prefect(LIMIT, "create", "g", "--limit", "3", code=1).text
    assert "limit=3" in prefect(LIMIT, "inspect", "g").text
    prefect(LIMIT, "update", "g", "--limit", "5")
    assert "limit=5" in prefect(LIMIT, "inspect", "g").text
    assert " g " in prefect(LIMIT, "ls").text
    prefect(LIMIT, "disable", "g")
    assert "already disabled" in prefect(LIMIT, "disable", "g", code=1).text
    prefect(LIMIT, "enable", "g")
    prefect(LIMIT, "delete", "g", answers="y\n")
    assert "not found" in prefect(LIMIT, "inspect", "g", code=1).text


@scenario(*(f"concurrency-limit {verb}" for verb in ("create", "ls", "inspect", "reset", "delete")))
def test_a_limit_of_a_tag_is_made_and_deleted(prefect: Prefect) -> None:
    prefect("concurrency-limit", "create", "small", "3")
    assert "small" in prefect("concurrency-limit", "ls").text
    assert "small" in prefect("concurrency-limit", "inspect", "small").text
    prefect("concurrency-limit", "reset", "small")
    prefect("concurrency-limit", "delete", "small")
    assert "No concurrency limit found" in prefect("concurrency-limit", "inspect", "small", code=1).text


@scenario(*(f"variable {verb}" for verb in ("set", "get", "inspect", "ls", "unset", "delete")), on=THREE)
def test_a_variable_is_set_and_unset(prefect: Prefect) -> None:
    prefect("variable", "set", "v", "1")
    assert "already exists" in prefect("variable", "set", "v", "2", code=1).text
    prefect("variable", "set", "v", "2", "--overwrite")
    assert prefect("variable", "get", "v").out.strip() == "2"
    assert "name='v'" in prefect("variable", "inspect", "v").text
    assert " v " in prefect("variable", "ls").text
    prefect("variable", "unset", "v")
    assert "not found" in prefect("variable", "get", "v", code=1).text
    prefect("variable", "delete", "v", code=1)


@scenario("variable inspect", "variable ls", "variable delete", on=("2.20.27",))
def test_a_variable_of_version_2_is_shown_and_deleted(prefect: Prefect) -> None:
    prefect.script("from prefect.variables import Variable\nVariable.set('v', '1')\nassert Variable.get('v').value == '1'\n")
    assert "name='v'" in prefect("variable", "inspect", "v").text
    assert " v " in prefect("variable", "ls").text
    prefect("variable", "delete", "v")
    assert "not found" in prefect("variable", "inspect", "v", code=1).text


BLOCK = """
from prefect.blocks.system import Secret
Secret(value="hidden").save("mine")
assert Secret.load("mine").get() == "hidden"
"""


@scenario(
    *("block register", "block ls", "block inspect", "block create", "block delete"),
    *("block type ls", "block type inspect", "block type delete", "Blocks saved and loaded"),
)
def test_a_block_is_registered_saved_loaded_and_deleted(prefect: Prefect) -> None:
    assert "Successfully registered" in prefect("block", "register", "-m", "prefect.blocks.system").text
    assert "secret" in prefect("block", "type", "ls").text
    assert "Secret" in prefect("block", "type", "inspect", "secret").text
    assert "/blocks/catalog/secret/create" in prefect("block", "create", "secret").text
    prefect.script(BLOCK)
    assert "secret/mine" in prefect("block", "ls").text
    shown = prefect("block", "inspect", "secret/mine").text
    assert "mine" in shown
    assert "hidden" not in shown
    prefect("block", "delete", "secret/mine", answers="y\n")
    assert "secret/mine" not in prefect("block", "ls").text
    prefect("block", "delete", "secret/mine", code=1, answers="y\n")
    prefect("block", "type", "delete", "secret", answers="y\n")


ARTIFACT = """
from prefect.artifacts import create_markdown_artifact
create_markdown_artifact("# Report", key="report")
"""


@scenario("artifact ls", "artifact inspect", "artifact delete")
def test_an_artifact_is_shown_and_deleted(prefect: Prefect) -> None:
    prefect.script(ARTIFACT)
    assert "report" in prefect("artifact", "ls").text
    assert "# Report" in prefect("artifact", "inspect", "report").text
    prefect("artifact", "delete", "report", answers="y\n")
    assert "not found" in prefect("artifact", "inspect", "report", code=1).text


@scenario("profile use", on=ALL)
def test_a_profile_finds_the_server(prefect: Prefect) -> None:
    name = prefect.home.parent.name.replace("_", "-")
    prefect("profile", "create", name)
    assert "Connected to" in prefect("profile", "use", name).text


@scenario("config set", "config view", "config unset", "config validate", "work-pool create", extended=True)
def test_settings_of_a_client_are_set_and_shown(prefect: Prefect) -> None:
    """The URL of the server among them, which its commands then go to."""
    url = prefect.env["PREFECT_API_URL"]
    prefect.alone("config", "set", f"PREFECT_API_URL={url}")
    assert url in prefect.alone("config", "view", "--show-sources")
    prefect.alone("config", "validate")
    prefect.alone("work-pool", "create", "one", "--type", "process")
    assert prefect.system.client.send(work_pools.get("one")).type == "process"
    prefect.alone("config", "unset", "PREFECT_API_URL", *(() if prefect.is_2 else ("--yes",)))
    assert url not in prefect.alone("config", "view")


@scenario("version")
def test_a_client_says_what_it_is(prefect: Prefect) -> None:
    assert prefect.release in prefect("version").text


@scenario("profile create", "profile ls", "profile inspect", "profile rename", "profile delete", extended=True)
def test_profiles_are_kept(prefect: Prefect) -> None:
    prefect("profile", "create", "mine")
    assert "mine" in prefect("profile", "ls").text
    prefect("profile", "inspect", "mine")
    prefect("profile", "rename", "mine", "yours")
    prefect("profile", "delete", "yours", answers="y\n")
    assert "yours" not in prefect("profile", "ls").text


CALLED = """
from prefect import flow, task

@task(log_prints=True)
def told():
    print("of a task")

@flow
def tells():
    told()

if __name__ == "__main__":
    tells()
"""


@scenario("task-run ls", "task-run inspect", "task-run logs", extended=True)
def test_task_runs_are_shown(prefect: Prefect) -> None:
    (prefect.directory / "called.py").write_text(CALLED)
    assert prefect.start("called.py", program="python").wait() == 0  # which sends its lines when it ends
    system = prefect.system
    [made] = system.until(lambda: system.client.send(task_runs.query()), "the task run")
    assert made.name in prefect("task-run", "ls").text
    assert made.name in prefect("task-run", "inspect", str(made.id)).text
    system.until(lambda: "of a task" in prefect("task-run", "logs", str(made.id)).text, "its line")
