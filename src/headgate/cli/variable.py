"""`headgate variable`: values that templates and job variables refer to by name."""

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from headgate.cli.find import every
from headgate.cli.options import InSession, Output, Tags, Yes
from headgate.cli.output import Column, ago, confirm, print_json, print_table, show
from headgate.cli.values import json_or_text, referable
from headgate.client.calls import variables
from headgate.client.client import Client
from headgate.errors import Conflict, NotFound
from headgate.schema.filters import VariableQuery
from headgate.schema.variables import Variable, VariableCreate, VariableUpdate

app = App(name="variable")

Name = Annotated[str, Parameter(help="Name of the variable: lowercase letters, digits, - and _.")]
Value = Annotated[str, Parameter(help="Its value: read as JSON if it is JSON, else as text.", allow_leading_hyphen=True)]
Overwrite = Annotated[bool, Parameter(name="--overwrite", help="Change the variable if it exists already.")]

_LONGEST = 40


@app.command(name="set")
def set_(
    name: Name,
    value: Value,
    /,
    *,
    overwrite: Overwrite = False,
    tag: Tags = None,
    output: Output = "table",
    session: InSession,
) -> None:
    """Create a variable. `{{ headgate.variables.NAME }}` stands for it in base job templates and in job variables.

    For example:
        headgate variable set region eu-west-1
        headgate variable set resources '{"cpu": 2, "memory": "4Gi"}' --overwrite
    """
    referable(name, "variable")
    meant = json_or_text(value)
    with session.client() as client:
        created = _write(client, name, meant, tag, overwrite=overwrite)
        found = client.send(variables.get_by_name(name))
    if output == "json":
        print_json(found)
    else:
        print(f"{'Created' if created else 'Changed'} variable {name!r}. In a job it is {{{{ headgate.variables.{name} }}}}")


@app.command
def get(name: Name, /, *, session: InSession) -> None:
    """Print a variable's value: text as it is, anything else as JSON.

    For example:
        headgate variable get region
    """
    with session.client() as client:
        value = _find(client, name).value
    print(value if isinstance(value, str) else _json(value))


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all variables.

    For example:
        headgate variable ls
    """
    with session.client() as client:
        found = every(client, variables.query, VariableQuery())
    if output == "json":
        print_json(found)
    else:
        now = session.now()
        rows = [(each.name, _short(each.value), ", ".join(each.tags), ago(each.updated, now)) for each in found]
        print_table("Variables", [Column("Name"), Column("Value"), Column("Tags"), Column("Updated")], rows)


@app.command(name="inspect")
def inspect_(name: Name, /, *, output: Output = "table", session: InSession) -> None:
    """Show all fields of a variable.

    For example:
        headgate variable inspect region
    """
    with session.client() as client:
        found = _find(client, name)
    show(found, output, now=session.now())


@app.command
def unset(name: Name, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a variable. Runs that refer to it crash when they are launched.

    For example:
        headgate variable unset region
    """
    with session.client() as client:
        found = _find(client, name)
        confirm(f"Runs that refer to variable {name!r} would crash. Delete it?", yes=yes)
        client.send(variables.delete(found.id))
    print(f"Deleted variable {name!r}")


def _write(client: Client, name: str, value: Any, tags: list[str] | None, *, overwrite: bool) -> bool:
    """Whether the variable is new."""
    try:
        client.send(variables.create(VariableCreate(name=name, value=value, tags=tags or [])))
    except Conflict:
        if not overwrite:
            raise Conflict(f"Variable {name!r} exists already; --overwrite changes it.") from None
        change = VariableUpdate(value=value) if tags is None else VariableUpdate(value=value, tags=tags)
        client.send(variables.update_by_name(name, change))
        return False
    return True


def _find(client: Client, name: str) -> Variable:
    try:
        return client.send(variables.get_by_name(name))
    except NotFound:
        raise NotFound(f"There is no variable {name!r}; `headgate variable ls` lists all.") from None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
