"""`headgate profile`: several sets of settings, one of them active."""

import os
from typing import Annotated

from cyclopts import App, Parameter

from headgate.cli.config import ShowSecrets
from headgate.cli.options import InSession, Output, Yes
from headgate.cli.output import Column, confirm, print_json, print_table, warning_line
from headgate.cli.profiles import profiles_of
from headgate.cli.session import Session, open_client
from headgate.client.calls import admin
from headgate.errors import Conflict, HeadgateError
from headgate.settings import DEFAULT_PROFILE, PREFIX, load, masked

app = App(name="profile")

Name = Annotated[str, Parameter(help="Name of the profile.")]
NewName = Annotated[str, Parameter(help="What to call it from now on.")]
From = Annotated[str | None, Parameter(name="--from", help="Start with the settings of this profile.")]


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all profiles; the one in use is marked.

    For example:
        headgate profile ls
    """
    profiles = profiles_of(session)
    if output == "json":
        print_json({"active": profiles.current, "profiles": sorted(profiles.all)})
    else:
        rows = [
            ("*" if name == profiles.current else "", name, str(len(profiles.all[name]))) for name in sorted(profiles.all)
        ]
        print_table("Profiles", [Column(""), Column("Name"), Column("Settings", right=True)], rows, caption="* in use")


@app.command
def create(name: Name, /, *, from_: From = None, session: InSession) -> None:
    """Create a profile. It becomes active with `headgate profile use`.

    For example:
        headgate profile create staging --from default
    """
    profiles = profiles_of(session)
    if name in profiles.all:
        raise Conflict(f"Profile {name!r} exists already; `headgate profile inspect {name}` shows it.")
    profiles.save(all={**profiles.all, name: profiles.get(from_) if from_ else {}})
    print(f"Created profile {name!r}. Switch to it with `headgate profile use {name}`.")


@app.command
def use(name: Name, /, *, session: InSession) -> None:
    """Make a profile the active one, and say whether its API answers.

    For example:
        headgate profile use staging
    """
    profiles = profiles_of(session)
    profiles.get(name)
    profiles.save(active=name)
    print(f"Profile {name!r} is active now.")
    if os.environ.get(f"{PREFIX}PROFILE", name) != name:
        warning_line(f"{PREFIX}PROFILE={os.environ[f'{PREFIX}PROFILE']} is set here and goes before the active profile.")
    _check_api(Session(profile=name))


@app.command(name="inspect")
def inspect_(
    name: Annotated[str | None, Parameter(help="Name of the profile; without it the one in use.")] = None,
    /,
    *,
    show_secrets: ShowSecrets = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Show the settings that a profile holds.

    For example:
        headgate profile inspect staging
    """
    profiles = profiles_of(session)
    values = profiles.get(name or profiles.current)
    shown = values if show_secrets else {key: masked(key, value) for key, value in values.items()}
    if output == "json":
        print_json(shown)
    else:
        for key, value in shown.items():
            print(f"{key}={value!r}")


@app.command
def rename(name: Name, new_name: NewName, /, *, session: InSession) -> None:
    """Give a profile another name; it stays active if it is.

    For example:
        headgate profile rename staging stage
    """
    profiles = profiles_of(session)
    profiles.get(name)
    if new_name in profiles.all:
        raise Conflict(f"Profile {new_name!r} exists already.")
    renamed = {new_name if key == name else key: values for key, values in profiles.all.items()}
    profiles.save(active=new_name if profiles.active == name else None, all=renamed)
    print(f"Renamed profile {name!r} to {new_name!r}.")


@app.command
def delete(name: Name, /, *, yes: Yes = False, session: InSession) -> None:
    """Delete a profile that is not in use.

    For example:
        headgate profile delete staging
    """
    profiles = profiles_of(session)
    profiles.get(name)
    if name == DEFAULT_PROFILE:
        raise Conflict("The default profile always exists; `headgate --profile default config unset` takes settings out.")
    if name in (profiles.active, profiles.current):
        raise Conflict(f"Profile {name!r} is in use; switch to another with `headgate profile use NAME` first.")
    confirm(f"Delete profile {name!r}?", yes=yes)
    profiles.save(all={key: values for key, values in profiles.all.items() if key != name})
    print(f"Deleted profile {name!r}.")


def _check_api(session: Session) -> None:
    """Tell whether the profile's API answers. It is no failure when it does not: the server may be started later."""
    try:
        settings = load(profile=session.profile).settings
        if settings.api_url is None:
            return print("No HEADGATE_API_URL is set: commands use the app in their own process.")
        with open_client(settings, patience=0) as client:
            client.send(admin.health())
        print(f"The API at {settings.api_url} answers.")
    except HeadgateError as error:
        warning_line(str(error))
