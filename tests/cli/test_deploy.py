"""`headgate deploy`, against the real app: from files, from flags, and that nothing is written when anything is wrong."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Run, lines

from headgate.client.calls import deployments, flows
from headgate.client.client import Client
from headgate.schema.deployments import ConcurrencyKey, Deployment, InfraRetries

TWO = """
deployments:
  - name: nightly
    entrypoint: flows.py:hello
    parameters: {name: moon}
    tags: [example]
    schedules:
      - {cron: "0 3 * * *", timezone: Europe/Vienna}
      - {interval: 1h, active: false, slug: hourly}
    concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}
    concurrency_key: {expression: "to {{ parameters.name }}", limit: 2}
    infra_retries: 3
    work_pool: {name: local, work_queue_name: urgent, job_variables: {stream_output: false}}
  - name: disk
    command: df -h {{ path }}
    parameters: {path: /}
    work_pool: {name: local}
"""


@pytest.fixture(autouse=True)
def pool(api: Client, run: Run, flows_file: Path) -> None:
    """A pool `local`, and `flows.py` in the working directory."""
    run("work-pool", "create", "local", "--type", "process")


@pytest.fixture
def two() -> None:
    """A file with two deployments."""
    Path("headgate.yaml").write_text(TWO)


def _written(api: Client) -> dict[str, Deployment]:
    return {deployment.name: deployment for deployment in api.send(deployments.query())}


def test_all_writes_everything_that_the_file_says(two: None, run: Run, api: Client) -> None:
    outcome = run("deploy", "--all")
    assert (outcome.code, outcome.err) == (0, "")
    written = _written(api)
    nightly = written["nightly"]
    assert nightly.parameters == {"name": "moon"}
    assert nightly.tags == ["example"]
    assert nightly.description == "Says hello."
    assert (nightly.entrypoint, nightly.command, nightly.path) == ("flows.py:hello", None, str(Path.cwd()))
    assert nightly.pull_steps == []
    assert (nightly.work_pool_name, nightly.work_queue_name) == ("local", "urgent")
    assert nightly.job_variables == {"stream_output": False}
    assert nightly.concurrency_options is not None
    assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert nightly.concurrency_key == ConcurrencyKey(expression="to {{ parameters.name }}", limit=2)
    assert nightly.infra_retries == InfraRetries(max=3)
    assert nightly.parameter_openapi_schema is not None
    assert set(nightly.parameter_openapi_schema["properties"]) == {"name", "times"}
    assert sorted((each.schedule.kind, each.active, each.slug) for each in nightly.schedules) == [
        ("cron", True, None),
        ("interval", False, "hourly"),
    ]
    assert (written["disk"].command, written["disk"].entrypoint) == ("df -h {{ path }}", None)
    assert {flow.name for flow in api.send(flows.query())} == {"hello", "disk"}


def test_what_was_written_is_said_with_the_next_steps(two: None, run: Run, api: Client) -> None:
    outcome = run("deploy", "-n", "disk")
    assert lines(outcome.out) == [
        "Created deployment 'disk/disk'",
        f"    id - {_written(api)['disk'].id}",
        "    work pool - local, queue default",
        "",
        "To execute runs, start a worker:",
        "    headgate worker start --pool local",
        "To create one now:",
        "    headgate deployment run disk/disk --watch",
    ]
    assert run("deploy", "-n", "disk").out.startswith("Updated deployment 'disk/disk'\n")


def test_json_is_the_written_records(two: None, run: Run) -> None:
    assert [each["name"] for each in run("deploy", "--all", "-o", "json").json] == ["nightly", "disk"]


def test_what_the_users_module_prints_does_not_spoil_the_json(run: Run, flows_file: Path) -> None:
    flows_file.write_text("print('loading')\n" + flows_file.read_text())
    outcome = run("deploy", "flows.py:hello", "-n", "mine", "-p", "local", "-o", "json")
    assert [each["name"] for each in outcome.json] == ["mine"]
    assert outcome.err == "loading\n"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-n", "nightly"], ["nightly"]),
        (["-n", "hello/nightly"], ["nightly"]),
        (["-n", "disk/disk"], ["disk"]),
        (["-n", "nightly", "-n", "disk"], ["disk", "nightly"]),
    ],
)
def test_names_choose(two: None, run: Run, api: Client, arguments: list[str], names: list[str]) -> None:
    assert run("deploy", *arguments).code == 0
    assert sorted(_written(api)) == names


def test_the_only_deployment_of_a_file_needs_no_name(run: Run, api: Client) -> None:
    Path("prefect.yaml").write_text("deployments: [{name: one, entrypoint: 'flows.py:hello', work_pool: {name: local}}]")
    assert run("deploy").code == 0
    assert list(_written(api)) == ["one"]


def test_flags_go_before_the_file(two: None, run: Run, api: Client) -> None:
    run("work-pool", "create", "other", "--type", "process")
    flags = ["--pool", "other", "-q", "slow", "--interval", "90", "--timezone", "Asia/Tokyo", "--param", "times=3"]
    more = ["-t", "x", "-v", "7", "-d", "other words", "-cl", "9", "-jv", 'env={"A": "1"}', "--paused"]
    assert run("deploy", "-n", "nightly", *flags, *more).code == 0
    nightly = _written(api)["nightly"]
    assert (nightly.work_pool_name, nightly.work_queue_name) == ("other", "slow")
    assert [(each.schedule.interval, each.schedule.timezone) for each in nightly.schedules] == [(90.0, "Asia/Tokyo")]
    assert nightly.parameters == {"name": "moon", "times": 3}
    assert (nightly.tags, nightly.version, nightly.description) == (["x"], "7", "other words")
    assert nightly.job_variables == {"stream_output": False, "env": {"A": "1"}}
    assert nightly.paused is True


def test_flags_alone_make_a_deployment(run: Run, api: Client) -> None:
    outcome = run(
        "deploy", "flows.py:plain", "--name", "mine", "--pool", "local", "--cron", "0 3 * * *", "--param", "path=5"
    )
    assert (outcome.code, outcome.err) == (0, "")
    mine = _written(api)["mine"]
    assert (mine.entrypoint, mine.path, mine.parameters) == ("flows.py:plain", str(Path.cwd()), {"path": "5"})
    assert "    schedule - " in outcome.out


def test_a_command_needs_no_file_either(run: Run, api: Client) -> None:
    assert run("deploy", "--command", "df -h", "--name", "disk", "--pool", "local").code == 0
    assert _written(api)["disk"].command == "df -h"


def test_an_entrypoint_takes_the_place_of_the_files(two: None, run: Run, api: Client) -> None:
    assert run("deploy", "flows.py:plain", "-n", "disk").code == 0
    disk = _written(api)["disk"]
    assert (disk.entrypoint, disk.command, disk.parameters) == ("flows.py:plain", None, {"path": "/"})


def test_an_old_file_without_a_name_is_the_ground_of_what_flags_say(run: Run, api: Client) -> None:
    Path("deployment.yaml").write_text("work_pool: {name: local, job_variables: {stream_output: false}}")
    assert run("deploy", "flows.py:hello", "-n", "mine").code == 0
    assert _written(api)["mine"].job_variables == {"stream_output": False}


def test_entrypoints_are_relative_to_the_files_directory(run: Run, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("headgate.yaml").write_text(TWO)
    Path("elsewhere").mkdir()
    project = Path.cwd()
    monkeypatch.chdir("elsewhere")
    assert run("deploy", "--file", "../headgate.yaml", "-n", "nightly").code == 0
    assert _written(api)["nightly"].path == str(project)


def test_the_default_pool_is_used_where_none_is_named(run: Run, api: Client) -> None:
    run("config", "set", "DEFAULT_WORK_POOL_NAME=local")
    assert run("deploy", "flows.py:hello", "-n", "mine").code == 0
    assert _written(api)["mine"].work_pool_name == "local"


def test_pull_steps_of_other_tools_are_kept_with_a_warning(run: Run, api: Client) -> None:
    steps = "pull: [{git_clone: {repository: x}}, {a.set_working_directory: {directory: /srv}}]\n"
    Path("prefect.yaml").write_text(steps + TWO.lstrip())
    outcome = run("deploy", "-n", "disk")
    assert outcome.code == 0
    assert outcome.err.startswith("Warning: prefect.yaml: deployments[1]: the pull step 'git_clone'")
    assert outcome.err.count("\n") == 1
    disk = _written(api)["disk"]
    assert disk.path is None
    assert disk.pull_steps == [{"git_clone": {"repository": "x"}}, {"a.set_working_directory": {"directory": "/srv"}}]


def test_deploying_again_keeps_schedule_ids_and_a_pause(two: None, run: Run, api: Client) -> None:
    run("deploy", "--all")
    before = _written(api)["nightly"]
    run("deployment", "pause", "hello/nightly")
    outcome = run("deploy", "--all")
    after = _written(api)["nightly"]
    assert after.id == before.id
    assert {each.id for each in after.schedules} == {each.id for each in before.schedules}
    assert after.paused is True
    assert "Updated deployment 'hello/nightly' (paused)" in outcome.out


def test_a_file_that_says_nothing_of_schedules_leaves_them(run: Run, api: Client) -> None:
    flags = ["deploy", "flows.py:hello", "-n", "mine", "-p", "local"]
    run(*flags, "--cron", "0 3 * * *")
    run(*flags)
    assert len(_written(api)["mine"].schedules) == 1


def test_an_empty_list_of_schedules_clears_them(run: Run, api: Client) -> None:
    run("deploy", "flows.py:hello", "-n", "mine", "-p", "local", "--cron", "0 3 * * *")
    Path("headgate.yaml").write_text(
        "deployments: [{name: mine, entrypoint: 'flows.py:hello', schedules: [], work_pool: {name: local}}]"
    )
    assert run("deploy").code == 0
    assert _written(api)["mine"].schedules == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no file": ({"entrypoint": "nowhere.py:hello"}, ".entrypoint: There is no file"),
    "no function": ({"entrypoint": "flows.py:helo"}, "has no 'helo'. Flows there: hello."),
    "raises": ({"entrypoint": "broken.py:f"}, ".entrypoint: broken.py:f raised ZeroDivisionError: division by zero"),
    "exits": ({"entrypoint": "leaving.py:f"}, ".entrypoint: leaving.py:f raised SystemExit: 3"),
    "no entrypoint": ({"entrypoint": None}, "exactly one of `entrypoint` and `command`"),
    "both": ({"command": "df"}, "exactly one of `entrypoint` and `command`"),
    "quotes": ({"entrypoint": None, "command": "df 'x"}, ".command: "),
    "nothing": ({"entrypoint": None, "command": " "}, ".command: the command is empty"),
    "parameter": ({"parameters": {"nmae": 1}}, ".parameters: there is no parameter 'nmae' (the flow takes name, times)"),
    "value": ({"parameters": {"times": "many"}}, ".parameters: parameter 'times' is not valid"),
    "limit": ({"concurrency_limit": {"shared": "nothing"}}, "There is no concurrency limit 'nothing'"),
    "pool": ({"work_pool": {"name": "nowhere"}}, "There is no work pool 'nowhere'"),
    "no pool": ({"work_pool": None}, ".work_pool.name: no work pool is named"),
    "variable": ({"work_pool": {"name": "local", "job_variables": {"evn": {}}}}, "job variable 'evn' is unknown"),
    "variable type": ({"work_pool": {"name": "local", "job_variables": {"stream_output": "x"}}}, "stream_output"),
    "cron": ({"schedules": [{"cron": "0 25 * * *"}]}, ".schedules[0].cron: "),
    "zone": ({"schedules": [{"cron": "0 3 * * *", "timezone": "Mars/Base"}]}, ".schedules[0].timezone: "),
    "interval": ({"schedules": [{"interval": "soon"}]}, ".schedules[0]: interval: 'soon' is not a length of time"),
    "two kinds": ({"schedules": [{"cron": "0 3 * * *", "interval": 3}]}, ".schedules[0]: a schedule needs exactly one"),
    "no kind": ({"schedules": [{"timezone": "UTC"}]}, ".schedules[0]: a schedule needs exactly one"),
    "schedule's parameter": (
        {"schedules": [{"interval": 60, "parameters": {"x": 1}}]},
        ".schedules[0].parameters: there is no parameter 'x'",
    ),
    "schedule's variable": (
        {"schedules": [{"interval": 60, "job_variables": {"x": 1}}]},
        ".schedules[0].job_variables: work pool 'local': job variable 'x' is unknown",
    ),
    "both schedules": ({"schedule": {"interval": 3}, "schedules": []}, ".schedules: `schedule` and `schedules`"),
    "name": ({"name": "a/b"}, ".name: 'a/b' is no name"),
    "no name": ({"name": None}, ".name: the deployment has no name"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_nothing_is_written_when_anything_is_wrong(run: Run, api: Client, change: dict[str, Any], said: str) -> None:
    import yaml

    Path("broken.py").write_text("1 / 0")
    Path("leaving.py").write_text("raise SystemExit(3)")
    good = {"name": "good", "entrypoint": "flows.py:hello", "work_pool": {"name": "local"}}
    Path("headgate.yaml").write_text(yaml.safe_dump({"deployments": [good, good | {"name": "bad"} | change]}))
    outcome = run("deploy", "--all")
    problem, last = outcome.err.splitlines()
    assert outcome.code == 1
    assert problem.startswith("Error: headgate.yaml: deployments[1]")
    assert said in problem
    assert last == "Error: Nothing was deployed."
    assert _written(api) == {}
    assert api.send(flows.query()) == []


def test_all_problems_are_told_at_once(run: Run) -> None:
    Path("headgate.yaml").write_text(
        "deployments:\n"
        "  - {name: a, entrypoint: 'flows.py:x', schedules: [{cron: x}], work_pool: {name: nowhere}}\n"
        "  - {name: b, command: ' ', work_pool: {name: local}}\n"
    )
    problems = run("deploy", "--all").err.splitlines()
    assert [line.split(":")[2].partition(".")[0].strip() for line in problems[:-1]] == ["deployments[0]"] * 3 + [
        "deployments[1]"
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "headgate.yaml has nightly, disk: give --all, or -n NAME."),
        (["-n", "nigthly"], "headgate.yaml has no deployment 'nigthly'; did you mean 'nightly'?"),
        (["-n", "other/nightly"], "has no deployment 'other/nightly'"),
        (["--all", "-n", "disk"], "--all takes every deployment"),
        (["flows.py:hello"], "What is the deployment called? Give --name NAME."),
        (["flows.py:hello", "-n", "a", "-n", "b"], "give one --name"),
        (["flows.py:hello", "--command", "df", "-n", "a"], "not both"),
        (["-n", "disk", "--cron", "0 3 * * *", "--interval", "3"], "only one can be given"),
        (["-n", "disk", "--timezone", "UTC"], "--timezone belongs to a schedule"),
        (["-n", "disk", "--param", "x"], "'x' is not KEY=VALUE"),
    ],
)
def test_a_choice_that_makes_no_sense_is_a_usage_error(two: None, run: Run, arguments: list[str], said: str) -> None:
    outcome = run("deploy", *arguments)
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.code == 2


@pytest.mark.parametrize("arguments", [[], ["--all"], ["-n", "x"]])
def test_without_a_file_it_says_what_to_give(run: Run, arguments: list[str]) -> None:
    outcome = run("deploy", *arguments)
    assert outcome.code == 2
    assert "--file" in outcome.err


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    outcome = run("deploy", "--all", "--file", "nowhere.yaml")
    assert (outcome.code, outcome.err) == (1, "Error: There is no file nowhere.yaml.\n")


# What a file says of the job.


def variables_of(run: Run, content: str, *flags: str, file: str = "headgate.yaml") -> Any:
    """The job variables of the deployment `hello/d` that a file makes."""
    Path(file).write_text(content)
    outcome = run("deploy", "--all", *flags, "-o", "json")
    assert outcome.code == 0, outcome.err
    return outcome.json[0]["job_variables"]


@pytest.mark.parametrize("file", ["headgate.yaml", "prefect.yaml", "deployment.yaml"])
def test_the_documents_deployment_file_turns_streaming_off(run: Run, file: str) -> None:
    run("work-pool", "create", "--type", "process", "above-ground")
    content = """\
name: d
entrypoint: flows.py:hello
work_pool:
    name: above-ground
    work_queue_name: fast
    job_variables:
        stream_output: false
"""
    assert variables_of(run, content, file=file) == {"stream_output": False}
    found = run("deployment", "inspect", "hello/d", "-o", "json").json
    assert (found["work_pool_name"], found["work_queue_name"]) == ("above-ground", "fast")


def test_the_older_name_of_job_variables_stands_in_three_places(run: Run) -> None:
    """Each goes over the one before, `env` name by name; dotted keys reach into objects."""
    content = """\
name: d
entrypoint: flows.py:hello
infra_overrides:
    env.A: top
    env.B: top
    stream_output: true
work_pool:
    name: local
    infra_overrides: {env: {B: pool, C: pool}, env.D: pool, name: x}
    job_variables: {env: {C: own}, stream_output: false}
"""
    env = {"A": "top", "B": "pool", "C": "own", "D": "pool"}
    assert variables_of(run, content) == {"env": env, "stream_output": False, "name": "x"}
    flags = ("-jv", 'env={"A": "flag"}', "-jv", "name=y")
    assert variables_of(run, content, *flags) == {"env": env | {"A": "flag"}, "stream_output": False, "name": "y"}


def test_a_dotted_key_that_leads_into_a_text_is_refused(run: Run) -> None:
    Path("headgate.yaml").write_text(
        "name: d\nentrypoint: flows.py:hello\nwork_pool: {name: local}\ninfra_overrides: {env: x, env.A: y}\n"
    )
    outcome = run("deploy", "--all")
    assert outcome.code == 1
    assert "headgate.yaml.infra_overrides: 'env.A' leads into 'env', which is 'x' and no object" in outcome.err


def test_references_survive_a_deploy_and_the_environment_is_the_deployers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every other value of the file."""
    monkeypatch.setenv("GIT_SHA", "abc")
    content = """\
name: d
entrypoint: flows.py:hello
work_pool:
    name: local
    job_variables:
        stream_output: "{{ headgate.variables.stream }}"
        env:
            SHA: "{{ $GIT_SHA }}"
            TOKEN: "{{ prefect.blocks.secret.token }}"
            URL: "https://{{ headgate.variables.host }}/{{ $GIT_SHA }}"
            OTHER: "{{ other }}"
"""
    assert variables_of(run, content) == {
        "stream_output": "{{ headgate.variables.stream }}",
        "env": {
            "SHA": "abc",
            "TOKEN": "{{ prefect.blocks.secret.token }}",
            "URL": "https://{{ headgate.variables.host }}/abc",
            "OTHER": "{{ other }}",
        },
    }
    monkeypatch.delenv("GIT_SHA")
    outcome = run("deploy", "--all")
    assert outcome.code == 1
    assert (
        "work_pool.job_variables.env.SHA: the environment variable GIT_SHA is not set. It is filled in here" in outcome.err
    )


def test_a_reference_that_is_none_is_refused_before_anything_is_written(run: Run) -> None:
    outcome = run("deploy", "flows.py:hello", "-n", "d", "-p", "local", "-jv", "name={{ headgate.variable.x }}")
    assert outcome.code == 1
    assert "/name: {{ headgate.variable.x }} is no reference; known are" in outcome.err
    assert run("deployment", "ls").out == "Deployments: none\n"


def test_a_concurrency_key_by_flag(run: Run, api: Client) -> None:
    """The text is the flag's. What no run has is refused before anything is written."""
    command = ("deploy", "flows.py:hello", "--name", "keyed", "--pool", "local", "--concurrency-key")
    assert run(*command, "{{ parameters.name }}").code == 0
    assert _written(api)["keyed"].concurrency_key == ConcurrencyKey(expression="{{ parameters.name }}")
    outcome = run(*command, "{{ parameters.nobody }}")
    assert outcome.code == 1
    assert "concurrency_key.expression" in outcome.err
    assert "names parameter 'nobody', which the flow does not have: it has name, times." in outcome.err


def test_a_concurrency_key_in_a_file_may_be_text_alone(two: None, run: Run, api: Client) -> None:
    file = Path("headgate.yaml")
    key = '{expression: "to {{ parameters.name }}", limit: 2}'
    file.write_text(file.read_text().replace(key, '"{{ parameters.name }}"'))
    assert run("deploy", "-n", "nightly").code == 0
    assert _written(api)["nightly"].concurrency_key == ConcurrencyKey(expression="{{ parameters.name }}")
    file.write_text(file.read_text().replace('"{{ parameters.name }}"', key))
    assert run("deploy", "-n", "nightly", "--concurrency-key", "x-{{ parameters.times }}").code == 0
    assert _written(api)["nightly"].concurrency_key == ConcurrencyKey(expression="x-{{ parameters.times }}", limit=2)
    file.write_text(file.read_text().replace("limit: 2}", "limt: 2}"))
    assert "unknown key 'limt'" in run("deploy", "-n", "nightly").err


def test_a_limit_that_deployments_share_is_named(two: None, run: Run, api: Client) -> None:
    """It takes the place of a limit of their own, which takes its place again."""
    run("global-concurrency-limit", "create", "database", "--limit", "3")
    file = Path("headgate.yaml")
    own = "{limit: 2, collision_strategy: CANCEL_NEW}"
    file.write_text(TWO.replace(own, "{shared: database, collision_strategy: CANCEL_NEW}"))
    for _ in range(2):
        assert run("deploy", "-n", "nightly").code == 0
        written = _written(api)["nightly"]
        assert written.global_concurrency_limit is not None
        assert (written.global_concurrency_limit.name, written.limit) == ("database", None)
        assert written.concurrency_options is not None
    file.write_text(TWO)
    assert run("deploy", "-n", "nightly").code == 0
    assert _written(api)["nightly"].limit == 2
