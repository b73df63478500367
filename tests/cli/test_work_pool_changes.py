"""The commands of `headgate work-pool` that change a pool, and its templates, against the real app."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import Run

from headgate.client.client import Client
from headgate.worker import types


@pytest.fixture(autouse=True)
def pool(api: Client, run: Run) -> dict[str, Any]:
    """A pool `test-pool` of type `process`, described and limited."""
    options = ["--type", "process", "--description", "old", "--concurrency-limit", "7", "-o", "json"]
    return run("work-pool", "create", "test-pool", *options).json


def _pool(run: Run) -> dict[str, Any]:
    return run("work-pool", "inspect", "test-pool", "-o", "json").json


def test_update_changes_what_is_given_and_nothing_else(pool: dict[str, Any], run: Run) -> None:
    outcome = run("work-pool", "update", "test-pool", "--description", "new")
    assert (outcome.code, outcome.out) == (0, "Updated work pool 'test-pool'\n")
    changed = _pool(run)
    assert changed | {"updated": None} == pool | {"description": "new", "updated": None}


def test_update_takes_a_limit_and_an_edited_template(pool: dict[str, Any], run: Run) -> None:
    template = pool["base_job_template"]
    template["job_configuration"]["labels"] = {"team": "data"}
    Path("edited.json").write_bytes(msgspec.json.encode(template))
    assert (
        run("work-pool", "update", "test-pool", "--concurrency-limit", "2", "--base-job-template", "edited.json").code == 0
    )
    changed = _pool(run)
    assert (changed["concurrency_limit"], changed["description"]) == (2, "old")
    assert changed["base_job_template"] == template


@pytest.mark.parametrize(
    ("text", "limit", "seconds"), [("10/s", 10, 1.0), ("100/m", 100, 60.0), ("5/30s", 5, 30.0), ("1/1h30m", 1, 5400.0)]
)
def test_a_launch_rate_is_set_and_cleared(run: Run, text: str, limit: int, seconds: float) -> None:
    assert run("work-pool", "update", "test-pool", "--launch-rate", text).code == 0
    assert _pool(run)["launch_rate"] == {"limit": limit, "seconds": seconds}
    assert run("work-pool", "update", "test-pool", "--launch-rate", "none", "-o", "json").json["launch_rate"] is None
    assert _pool(run)["launch_rate"] is None


def test_a_launch_limit_is_set_and_cleared(run: Run) -> None:
    assert run("work-pool", "update", "test-pool", "--launch-limit", "20", "-o", "json").json["launch_limit"] == 20
    assert run("work-pool", "update", "test-pool", "--description", "x").code == 0
    assert _pool(run)["launch_limit"] == 20
    assert run("work-pool", "update", "test-pool", "--launch-limit", "none").code == 0
    assert _pool(run)["launch_limit"] is None
    assert "launch limit - 3" in run("work-pool", "create", "slow", "--type", "process", "--launch-limit", "3").out


def test_fair_share_is_set_and_cleared(run: Run) -> None:
    assert _pool(run)["fair_share"] is False
    assert run("work-pool", "update", "test-pool", "--fair-share", "-o", "json").json["fair_share"] is True
    assert run("work-pool", "update", "test-pool", "--description", "x").code == 0
    assert _pool(run)["fair_share"] is True
    assert run("work-pool", "update", "test-pool", "--no-fair-share").code == 0
    assert _pool(run)["fair_share"] is False
    assert "fair share - True" in run("work-pool", "create", "even", "--type", "process", "--fair-share").out


def test_a_pool_is_created_with_a_launch_rate(run: Run) -> None:
    outcome = run("work-pool", "create", "quick", "--type", "process", "--launch-rate", "3/m")
    assert "launch rate - 3 in 1 minute" in outcome.out
    assert run("work-pool", "inspect", "quick", "-o", "json").json["launch_rate"] == {"limit": 3, "seconds": 60.0}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "What is to change?"),
        (["--base-job-template", "none.json"], 2, "cannot read none.json"),
        (["--base-job-template", "bad.json"], 1, "job_configuration"),
        (["--concurrency-limit", "-1"], 1, "concurrency_limit"),
        (["--launch-rate", "10"], 2, "--launch-rate is a number from 1 to 1000 and a time, as in 10/s or 5/30s, or `none`"),
        (["--launch-limit", "0"], 2, "--launch-limit is a number from 1 on, or `none`; not '0'."),
        (["--launch-limit", "-1"], 2, "not '-1'"),
        (["--launch-rate", "0/s"], 2, "not '0/s'"),
        (["--launch-rate", "1001/s"], 2, "not '1001/s'"),
        (["--launch-rate", "1/blue"], 2, "--launch-rate: '1blue' is not a length of time"),
        (["--launch-rate", "1/2d"], 1, "launch_rate"),
    ],
)
def test_an_update_that_cannot_be_changes_nothing(
    pool: dict[str, Any], run: Run, arguments: list[str], code: int, said: str
) -> None:
    Path("bad.json").write_text('{"variables": {}}')
    outcome = run("work-pool", "update", "test-pool", *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert _pool(run) == pool


def test_a_limit_is_set_and_cleared(run: Run) -> None:
    outcome = run("work-pool", "set-concurrency-limit", "test-pool", "3")
    assert (outcome.code, outcome.out) == (0, "Set concurrency limit for work pool 'test-pool' to 3\n")
    assert _pool(run)["concurrency_limit"] == 3
    assert run("work-pool", "clear-concurrency-limit", "test-pool").out == (
        "Cleared concurrency limit for work pool 'test-pool'\n"
    )
    assert _pool(run)["concurrency_limit"] is None


def test_a_limit_of_0_is_legal_and_says_what_it_means(run: Run) -> None:
    outcome = run("work-pool", "set-concurrency-limit", "test-pool", "0")
    assert outcome.code == 0
    assert "It releases nothing until its limit is raised or cleared." in outcome.out
    assert _pool(run)["concurrency_limit"] == 0


@pytest.mark.parametrize(("limit", "code"), [("-1", 1), ("many", 2)])
def test_a_limit_that_is_none_is_refused(run: Run, limit: str, code: int) -> None:
    outcome = run("work-pool", "set-concurrency-limit", "test-pool", limit)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.count("\n") == 1
    assert _pool(run)["concurrency_limit"] == 7


@pytest.mark.parametrize(
    "command", [["update", "x", "--description", "y"], ["set-concurrency-limit", "x", "1"], ["clear-concurrency-limit", "x"]]
)
def test_a_pool_that_is_not_there_is_named(run: Run, command: list[str]) -> None:
    outcome = run("work-pool", *command)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "Error: There is no work pool 'x'; `headgate work-pool ls` lists all.\n"


def test_the_default_template_is_what_a_new_pool_has(pool: dict[str, Any], run: Run) -> None:
    command = ["work-pool", "get-default-base-job-template"]
    assert run(*command, "--type", "process").json == pool["base_job_template"]
    assert run(*command).json == pool["base_job_template"]


def test_the_default_template_goes_to_a_file_that_update_takes(pool: dict[str, Any], run: Run) -> None:
    command = ["work-pool", "get-default-base-job-template", "--file", "template.json"]
    assert run(*command).out == "Wrote the base job template to template.json\n"
    assert run("work-pool", "update", "test-pool", "--base-job-template", "template.json").code == 0
    assert _pool(run)["base_job_template"] == pool["base_job_template"]


def test_a_file_that_somebody_may_have_edited_is_not_written_over(run: Run) -> None:
    Path("mine.json").write_text("mine")
    outcome = run("work-pool", "get-default-base-job-template", "--file", "mine.json")
    assert outcome.code == 2
    assert "mine.json exists already" in outcome.err
    assert Path("mine.json").read_text() == "mine"


def test_a_type_that_is_not_installed_is_named(run: Run) -> None:
    outcome = run("work-pool", "get-default-base-job-template", "--type", "procss")
    assert outcome.code == 2
    assert "There is no worker type 'procss' here; installed: process" in outcome.err


def test_of_several_types_one_has_to_be_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    [entry] = types.entry_points(group=types.GROUP)
    monkeypatch.setattr(types, "_entries", lambda: {"docker": entry, "process": entry})
    outcome = run("work-pool", "get-default-base-job-template")
    assert (outcome.code, outcome.err) == (2, "Error: Of which type? Give --type; installed: docker, process.\n")
