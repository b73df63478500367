"""`headgate secret`, against the real app: values come unseen, and are not seen again."""

import io
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import Run

from headgate.cli import secret
from headgate.services.encryption import KEY_FILE, Keyring

pytestmark = pytest.mark.usefixtures("api")

VALUE = "s3cret value"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`typed("text")` puts a text on stdin."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def kept(home: Path, name: str = "token") -> str:
    """What the secret holds, read with the server's key from its database."""
    with closing(sqlite3.connect(home / "headgate.db")) as database:
        [[ciphertext]] = database.execute("SELECT ciphertext FROM secret WHERE name = ?", [name]).fetchall()
    return Keyring(None, home / KEY_FILE, shared=False).unseal(ciphertext, name)


@pytest.mark.parametrize(
    ("given", "value"),
    [(f"{VALUE}\n", VALUE), (VALUE, VALUE), ("a\nb\n\n", "a\nb\n"), (" a \r\n", " a "), ('{"a": 1}', '{"a": 1}')],
)
def test_a_value_comes_from_stdin_without_the_newline_at_its_end(
    run: Run, home: Path, typed: Callable[[str], None], given: str, value: str
) -> None:
    typed(given)
    outcome = run("secret", "set", "token")
    assert outcome.out == "Created secret 'token'. In a job it is {{ headgate.secrets.token }}\n"
    assert outcome.err == ""
    assert kept(home) == value


def test_at_a_terminal_the_value_is_asked_for_unseen(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(secret, "getpass", lambda prompt: asked.append(prompt) or VALUE)
    assert run("secret", "set", "token").code == 0
    assert asked == ["Value of secret 'token': "]
    assert kept(home) == VALUE


def test_a_value_on_the_command_line_is_taken_with_a_warning(run: Run, home: Path) -> None:
    outcome = run("secret", "set", "token", "--value", VALUE)
    assert (outcome.code, kept(home)) == (0, VALUE)
    assert outcome.err == "Warning: --value leaves the secret in your shell's history; the prompt and stdin do not.\n"


def test_no_value_is_refused(run: Run, typed: Callable[[str], None]) -> None:
    typed("\n")
    outcome = run("secret", "set", "token")
    assert (outcome.code, outcome.err) == (
        2,
        "Error: Secret 'token' is given no value. `headgate secret unset token` deletes it.\n",
    )


def test_set_changes_only_when_it_is_told_to(run: Run, home: Path, typed: Callable[[str], None]) -> None:
    typed("one")
    run("secret", "set", "token")
    typed("two")
    refused = run("secret", "set", "token")
    assert (refused.code, refused.err) == (
        1,
        "Error: Secret 'token' exists already; --overwrite gives it another value.\n",
    )
    assert kept(home) == "one"
    typed("two")
    assert run("secret", "set", "token", "--overwrite").out.startswith("Changed secret 'token'.")
    assert kept(home) == "two"


def test_nothing_that_is_printed_holds_a_value(run: Run, typed: Callable[[str], None]) -> None:
    typed(VALUE)
    outputs = [run("secret", "set", "token", "-o", "json")]
    outputs += [run("secret", "ls", *more) for more in ((), ("-o", "json"))]
    assert [each["name"] for each in outputs[-1].json] == ["token"]
    assert set(outputs[0].json) == set(outputs[-1].json[0]) == {"id", "created", "updated", "name"}
    typed(VALUE)
    outputs.append(run("secret", "set", "token"))
    outputs.append(run("secret", "unset", "token", "--yes"))
    assert all(VALUE not in each.out + each.err for each in outputs)
    assert outputs[-1].out == "Deleted secret 'token'\n"


def test_unset_asks_first_and_says_what_is_not_there(run: Run, typed: Callable[[str], None]) -> None:
    typed(VALUE)
    run("secret", "set", "token")
    typed("")
    refused = run("secret", "unset", "token")
    assert refused.code == 2
    assert "Runs that refer to secret 'token' would crash. Delete it? Nobody can be asked here" in refused.err
    assert (
        run("secret", "unset", "none", "--yes").err == "Error: There is no secret 'none'; `headgate secret ls` lists all.\n"
    )


def test_a_generated_key_is_one_that_servers_take(run: Run, tmp_path: Path) -> None:
    first, second = (run("secret", "generate-key").out.strip() for _ in range(2))
    assert first != second
    ring = Keyring(f"{first},{second}", tmp_path / KEY_FILE, shared=True)
    assert ring.unseal(ring.seal(VALUE), "token") == VALUE


def test_the_key_is_masked_where_settings_are_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    key = run("secret", "generate-key").out.strip()
    monkeypatch.setenv("HEADGATE_SERVER_ENCRYPTION_KEY", key)
    shown = run("config", "view")
    assert "HEADGATE_SERVER_ENCRYPTION_KEY='********'" in shown.out
    assert key not in shown.out
    assert key in run("config", "view", "--show-secrets").out
