"""`main`: exit codes, global options, errors in one line, and what `--help` does not load."""

import subprocess
import sys

import pytest
from command_line import Run

from headgate import __version__
from headgate.cli.commands import COMMANDS


@pytest.mark.parametrize("argument", ["--help", "-h", "help", None])
def test_the_root_help_names_every_command(run: Run, argument: str | None) -> None:
    outcome = run(*[argument] if argument else [])
    assert outcome.code == 0
    words = {line.split()[0] for line in outcome.out.splitlines() if line.startswith("  ") and line.strip()}
    assert set(COMMANDS) <= words
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("argument", ["--version", "-V"])
def test_the_version_is_printed_bare(run: Run, argument: str) -> None:
    assert run(argument).out.strip() == __version__


def test_root_help_loads_no_parser_no_tables_no_records() -> None:
    code = "import sys; from headgate.cli import main; main(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert not {"cyclopts", "rich", "msgspec", "yaml", "http.client", "asyncio", "headgate.server"} & set(loaded)


def test_help_of_a_noun_loads_no_server_and_no_driver() -> None:
    code = "import sys; from headgate.cli import main; main(['server', '--help']); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert not {"starlette", "uvicorn", "sqlalchemy", "alembic", "asyncpg", "headgate.server", "aiohttp"} & set(loaded)


def test_an_unknown_command_is_a_usage_error_with_a_hint(run: Run) -> None:
    outcome = run("flow-rnu", "ls")
    assert outcome.code == 2
    assert "There is no command 'flow-rnu'; did you mean 'flow-run'?" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["flow", "lss"], "ls"),
        (["flow", "ls", "--outputt", "json"], "--output"),
        (["flow", "ls", "-o", "yaml"], '"json"'),
        (["worker", "inspect", "w"], "--pool"),
        (["work-pool", "inspect"], "NAME"),
        (["server", "start", "--port", "many"], "--port"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(run: Run, arguments: list[str], said: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert said in outcome.err
    assert f"`headgate {arguments[0]} --help` explains." in outcome.err


def test_an_api_that_is_away_is_one_line_and_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr("headgate.cli.session.Session.client.__kwdefaults__", {"patience": 0.0})
    outcome = run("flow", "ls")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: No answer from the API at http://127.0.0.1:9/api")
    assert outcome.err.count("\n") == 1


def test_an_error_of_ours_is_one_line_too_and_debug_shows_its_place(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: object, *, patience: float) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("headgate.cli.session.open_client", broken)
    outcome = run("flow", "ls")
    assert outcome.code == 1
    assert outcome.err == "Error: Unexpected KeyError: 'surprise'. Run again with --debug to see where.\n"
    assert "Traceback (most recent call last)" in run("flow", "ls", "--debug").err


def test_ctrl_c_is_exit_code_130_without_a_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: object, *, patience: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headgate.cli.session.open_client", interrupted)
    outcome = run("flow", "ls")
    assert (outcome.code, outcome.err) == (130, "")


@pytest.mark.parametrize("arguments", [["--profile", "other", "config", "view"], ["config", "view", "--profile=other"]])
def test_the_profile_of_one_command_may_stand_anywhere(run: Run, arguments: list[str]) -> None:
    run("profile", "create", "other")
    assert "profile: 'other'" in run(*arguments).out
    assert "profile: 'default'" in run("config", "view").out


def test_an_unknown_profile_is_refused(run: Run) -> None:
    outcome = run("--profile", "nowhere", "flow", "ls")
    assert outcome.code == 1
    assert "There is no profile 'nowhere'" in outcome.err


def test_a_profile_without_a_name_is_a_usage_error(run: Run) -> None:
    assert run("flow", "ls", "--profile").code == 2


@pytest.mark.parametrize("arguments", [["--help"], ["config", "view", "--show-defaults"]])
def test_a_reader_that_has_enough_ends_the_command_quietly(arguments: list[str]) -> None:
    """`headgate config view --show-defaults | head -1`."""
    command = [sys.executable, "-m", "headgate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
