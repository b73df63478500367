"""`headgate config`: values, their sources, changes to the profile in use."""

import tomllib
from pathlib import Path

import pytest
from command_line import Run


def _profiles(home: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((home / "profiles.toml").read_text())["profiles"]


def test_view_shows_each_value_with_its_source(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("config", "set", "HEADGATE_API_URL=http://127.0.0.1:4200/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    assert run("config", "view").out == (
        "profile: 'default'\n"
        f"HEADGATE_HOME='{home}' (from env)\n"
        "HEADGATE_API_URL='http://127.0.0.1:4200/api' (from profile)\n"
        "HEADGATE_LOGGING_LEVEL='DEBUG' (from env (PREFECT_ name))\n"
    )


def test_view_may_hide_sources_and_show_defaults(run: Run) -> None:
    assert "(from" not in run("config", "view", "--hide-sources").out
    assert "HEADGATE_SERVER_API_PORT=4200 (from default)" in run("config", "view", "--show-defaults").out


def test_view_as_json(run: Run, home: Path) -> None:
    assert run("config", "view", "-o", "json").json == {
        "profile": "default",
        "settings": {"HEADGATE_HOME": {"value": str(home), "source": "env"}},
    }


def test_secrets_are_masked_unless_asked_for(run: Run) -> None:
    settings = ("SERVER_DATABASE_CONNECTION_URL=postgresql://me:s3cret@db/x", "API_AUTH_STRING=me:s3cret")
    assert "s3cret" not in run("config", "set", *settings).out
    shown = run("config", "view").out
    assert "postgresql://me:********@db/x" in shown
    assert "HEADGATE_API_AUTH_STRING='********'" in shown
    assert "s3cret" not in run("config", "view", "-o", "json").out
    assert run("config", "view", "--show-secrets").out.count("s3cret") == 2


def test_set_keeps_types_and_other_settings(run: Run, home: Path) -> None:
    run("config", "set", "server_api_port=4300")
    run("config", "set", "PREFECT_API_URL=http://x/api", "HEADGATE_SERVER_SERVICES_SCHEDULER_ENABLED=off")
    assert _profiles(home) == {
        "default": {
            "HEADGATE_SERVER_API_PORT": 4300,
            "HEADGATE_API_URL": "http://x/api",
            "HEADGATE_SERVER_SERVICES_SCHEDULER_ENABLED": False,
        }
    }


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("HEADGATE_API_ULR=x", "did you mean 'HEADGATE_API_URL'?"),
        ("PORT=1", "HEADGATE_SERVER_API_PORT"),
        ("SERVER_API_PORT=many", "'many' (from the command line) is not valid"),
        ("SERVER_API_PORT=70000", "<= 65535"),
        ("API_URL", "is not KEY=VALUE"),
        ("API_URL=", "config unset API_URL"),
        ("HOME=/tmp", "environment"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_written(run: Run, home: Path, setting: str, said: str) -> None:
    outcome = run("config", "set", "LOGGING_LEVEL=DEBUG", setting)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (home / "profiles.toml").exists()


def test_unset_takes_out(run: Run, home: Path) -> None:
    run("config", "set", "API_URL=http://x/api", "LOGGING_LEVEL=DEBUG")
    assert run("config", "unset", "HEADGATE_API_URL").code == 0
    assert _profiles(home) == {"default": {"HEADGATE_LOGGING_LEVEL": "DEBUG"}}


def test_unset_of_what_is_not_set_fails(run: Run) -> None:
    outcome = run("config", "unset", "API_URL")
    assert (outcome.code, outcome.err) == (1, "Error: HEADGATE_API_URL is not set in this profile.\n")


@pytest.mark.parametrize("command", ["set", "unset"])
def test_nothing_given_is_a_usage_error(run: Run, command: str) -> None:
    assert run("config", command).code == 2


def test_a_profile_that_is_wrong_can_be_mended(run: Run, home: Path) -> None:
    """A value that no longer fits must not lock its owner out."""
    home.mkdir()
    (home / "profiles.toml").write_text('[profiles.default]\nHEADGATE_SERVER_API_PORT = "many"\nHEADGATE_GONE = 1\n')
    assert run("config", "view").code == 1
    assert run("config", "set", "SERVER_API_PORT=1").code == 0
    assert run("config", "unset", "HEADGATE_GONE").code == 0
    assert run("config", "view").code == 0


def test_the_file_is_its_owners_alone(run: Run, home: Path) -> None:
    run("config", "set", "API_AUTH_STRING=me:s3cret")
    assert (home / "profiles.toml").stat().st_mode & 0o077 == 0
    assert [path.name for path in home.iterdir()] == ["profiles.toml"]


def test_a_file_that_cannot_be_read_is_one_line(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "profiles.toml").write_text("[profiles")
    outcome = run("config", "set", "API_URL=http://x/api")
    assert outcome.code == 1
    assert f"Cannot read {home / 'profiles.toml'}" in outcome.err
    assert (home / "profiles.toml").read_text() == "[profiles"


def test_a_home_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADGATE_HOME", str(tmp_path / "file" / "home"))
    outcome = run("config", "set", "API_URL=http://x/api")
    assert outcome.code == 1
    assert "Cannot" in outcome.err
    assert outcome.err.count("\n") == 1
