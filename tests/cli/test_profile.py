"""`headgate profile`: several sets of settings, one of them active."""

from pathlib import Path

import pytest
from command_line import Run, drawn
from scripted_api import Script


def test_the_default_profile_is_always_there(run: Run) -> None:
    assert run("profile", "ls", "-o", "json").json == {"active": "default", "profiles": ["default"]}


def test_ls_marks_the_one_in_use(run: Run) -> None:
    run("config", "set", "LOGGING_LEVEL=DEBUG")
    run("profile", "create", "staging")
    assert drawn(run("profile", "ls").out) == [
        "Profiles",
        "┏━━━┳━━━━━━━━━┳━━━━━━━━━━┓",
        "┃   ┃ Name    ┃ Settings ┃",
        "┡━━━╇━━━━━━━━━╇━━━━━━━━━━┩",
        "│ * │ default │        1 │",
        "│   │ staging │        0 │",
        "└───┴─────────┴──────────┘",
        "* in use",
    ]


def test_create_from_copies_the_settings(run: Run) -> None:
    run("config", "set", "LOGGING_LEVEL=DEBUG")
    assert run("profile", "create", "staging", "--from", "default").code == 0
    run("config", "set", "LOGGING_LEVEL=ERROR")
    assert run("profile", "inspect", "staging").out == "HEADGATE_LOGGING_LEVEL='DEBUG'\n"


def test_use_switches(run: Run) -> None:
    run("profile", "create", "staging")
    assert run("profile", "use", "staging").code == 0
    run("config", "set", "LOGGING_LEVEL=DEBUG")
    assert run("profile", "inspect", "staging", "-o", "json").json == {"HEADGATE_LOGGING_LEVEL": "DEBUG"}
    assert run("profile", "inspect", "default", "-o", "json").json == {}


def test_use_says_whether_the_api_answers(run: Run, script: Script) -> None:
    run("--profile", "default", "config", "set", "API_URL=http://127.0.0.1:4200/api")
    script.on("GET", "/health", True)
    assert "The API at http://127.0.0.1:4200/api answers." in run("profile", "use", "default").out
    script.on("GET", "/health", {}, status=404)
    outcome = run("profile", "use", "default")
    assert (outcome.code, outcome.err[:9]) == (0, "Warning: ")


def test_use_warns_when_the_environment_has_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("profile", "create", "staging")
    monkeypatch.setenv("HEADGATE_PROFILE", "default")
    assert "Warning: HEADGATE_PROFILE=default" in run("profile", "use", "staging").err


def test_rename_keeps_it_active(run: Run) -> None:
    run("profile", "create", "staging")
    run("profile", "use", "staging")
    assert run("profile", "rename", "staging", "stage").code == 0
    assert run("profile", "ls", "-o", "json").json == {"active": "stage", "profiles": ["default", "stage"]}


def test_delete_asks(run: Run) -> None:
    run("profile", "create", "staging")
    refused = run("profile", "delete", "staging")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert run("profile", "delete", "staging", "--yes").code == 0
    assert run("profile", "ls", "-o", "json").json["profiles"] == ["default"]


def test_secrets_are_masked(run: Run) -> None:
    run("config", "set", "API_AUTH_STRING=me:s3cret")
    assert "s3cret" not in run("profile", "inspect").out
    assert "s3cret" in run("profile", "inspect", "--show-secrets").out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["create", "staging"], "exists already"),
        (["create", "new", "--from", "stagin"], "did you mean 'staging'?"),
        (["use", "nowhere"], "There is no profile 'nowhere'"),
        (["inspect", "nowhere"], "There is no profile 'nowhere'"),
        (["rename", "nowhere", "x"], "There is no profile 'nowhere'"),
        (["rename", "staging", "default"], "exists already"),
        (["delete", "default", "--yes"], "always exists"),
        (["--profile", "staging", "delete", "staging", "--yes"], "is in use"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(run: Run, home: Path, command: list[str], said: str) -> None:
    run("profile", "create", "staging")
    before = (home / "profiles.toml").read_text()
    outcome = run("profile", *command)
    assert outcome.code == 1
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert (home / "profiles.toml").read_text() == before
