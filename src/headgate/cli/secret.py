"""`headgate secret`: values that jobs need and nobody should read."""

import base64
import os
import sys
from getpass import getpass
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output, Yes
from headgate.cli.output import Column, UsageError, ago, confirm, print_json, print_table, warning_line
from headgate.cli.values import referable
from headgate.client.calls import secrets
from headgate.client.client import Client
from headgate.errors import Conflict, NotFound
from headgate.schema.filters import SecretQuery
from headgate.schema.secrets import SecretCreate, SecretUpdate

app = App(name="secret")

Name = Annotated[str, Parameter(help="Name of the secret: lowercase letters, digits, - and _.")]
Value = Annotated[
    str | None,
    Parameter(
        name="--value",
        allow_leading_hyphen=True,
        help="Its value, which your shell's history and this machine's users can then see: stdin and the prompt hide it.",
    ),
]
Overwrite = Annotated[bool, Parameter(name="--overwrite", help="Give the secret this value if it exists already.")]


@app.command(name="set")
def set_(
    name: Name, /, *, value: Value = None, overwrite: Overwrite = False, output: Output = "table", session: InSession
) -> None:
    """Create a secret. Its value is read from stdin, or asked for; it is kept encrypted and cannot be read back.

    `{{ headgate.secrets.NAME }}` stands for it in base job templates and in job variables.

    For example:
        headgate secret set api-token
        headgate secret set api-token --overwrite < token.txt
    """
    referable(name, "secret")
    if value is not None:
        warning_line("--value leaves the secret in your shell's history; the prompt and stdin do not.")
    given = _read(name) if value is None else value
    if not given:
        raise UsageError(f"Secret {name!r} is given no value. `headgate secret unset {name}` deletes it.")
    with session.client() as client:
        created = _write(client, name, given, overwrite=overwrite)
        found = client.send(secrets.get(name))
    if output == "json":
        print_json(found)
    else:
        print(f"{'Created' if created else 'Changed'} secret {name!r}. In a job it is {{{{ headgate.secrets.{name} }}}}")


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all secrets, without what they hold.

    For example:
        headgate secret ls
    """
    with session.client() as client:
        found = every(client, secrets.query, SecretQuery())
    if output == "json":
        print_json(found)
    else:
        now = session.now()
        rows = [(each.name, ago(each.created, now), ago(each.updated, now)) for each in found]
        print_table("Secrets", [Column("Name"), Column("Created"), Column("Updated")], rows)


@app.command
def unset(name: Name, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a secret. Runs that refer to it crash when they are launched.

    For example:
        headgate secret unset api-token
    """
    with session.client() as client:
        try:
            client.send(secrets.get(name))
        except NotFound:
            raise NotFound(f"There is no secret {name!r}; `headgate secret ls` lists all.") from None
        confirm(f"Runs that refer to secret {name!r} would crash. Delete it?", yes=yes)
        client.send(secrets.delete(name))
    print(f"Deleted secret {name!r}")


@app.command
def generate_key() -> None:
    """Print a new key for HEADGATE_SERVER_ENCRYPTION_KEY, under which servers keep secrets.

    To change keys, set the new one with the earlier one behind it and a comma between: what is written from then on is
    under the new one.

    For example:
        headgate secret generate-key
    """
    print(base64.urlsafe_b64encode(os.urandom(32)).decode())


def _read(name: str) -> str:
    """The value from stdin, without the newline at its end, or typed unseen."""
    if sys.stdin.isatty():
        return getpass(f"Value of secret {name!r}: ")
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _write(client: Client, name: str, value: str, *, overwrite: bool) -> bool:
    """Whether the secret is new."""
    try:
        client.send(secrets.create(SecretCreate(name=name, value=value)))
    except Conflict:
        if not overwrite:
            raise Conflict(f"Secret {name!r} exists already; --overwrite gives it another value.") from None
        client.send(secrets.update(name, SecretUpdate(value=value)))
        return False
    return True
