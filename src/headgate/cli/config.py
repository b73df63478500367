"""`headgate config`: settings, where each comes from, and changes to the profile in use."""

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import App, Parameter

from headgate.cli.hints import hint
from headgate.cli.options import InSession, Output
from headgate.cli.output import UsageError, print_json
from headgate.cli.profiles import Values, change_current
from headgate.cli.values import pairs
from headgate.errors import ConfigError, NotFound
from headgate.settings import NAMES, Loaded, Source, env_name, masked, parse, setting_name

app = App(name="config")

ShowSecrets = Annotated[bool, Parameter(name="--show-secrets", help="Show passwords.")]
ShowDefaults = Annotated[bool, Parameter(name="--show-defaults", help="Also list the settings that nobody has set.")]
ShowSources = Annotated[
    bool, Parameter(name="--show-sources", negative="--hide-sources", help="Say where each value comes from.")
]
Assignments = Annotated[
    str,
    Parameter(name="setting", metavar="KEY=VALUE", help="KEY=VALUE, such as HEADGATE_API_URL=http://127.0.0.1:4200/api."),
]
Keys = Annotated[str, Parameter(name="key", help="Name of a setting, such as HEADGATE_API_URL.")]

_ALL = "`headgate config view --show-defaults` lists all."


@app.command
def view(
    *,
    show_defaults: ShowDefaults = False,
    show_sources: ShowSources = True,
    show_secrets: ShowSecrets = False,
    output: Output = "table",
    session: InSession,
) -> None:
    """Show the settings that are in force. Flags go before the environment, then the profile, then the defaults.

    For example:
        headgate config view --show-defaults
    """
    loaded = session.loaded()
    names = [name for name in NAMES if show_defaults or loaded.sources[name] is not Source.DEFAULT]
    values = {name: _shown(loaded, name, show_secrets) for name in names}
    if output == "json":
        settings = {env_name(name): {"value": values[name], "source": loaded.sources[name]} for name in names}
        print_json({"profile": loaded.profile, "settings": settings})
    else:
        print(f"profile: {loaded.profile!r}")
        for name in names:
            source = f" (from {loaded.sources[name]})" if show_sources else ""
            print(f"{env_name(name)}={values[name]!r}{source}")


@app.command(name="set")
def set_(*settings: Assignments, session: InSession) -> None:
    """Set settings in the profile in use; values are checked before anything is written.

    For example:
        headgate config set HEADGATE_API_URL=http://127.0.0.1:4200/api
    """
    values = dict(_checked(key, text) for key, text in pairs(settings, option="Setting").items())
    if not values:
        raise UsageError("Nothing to set: give KEY=VALUE.")
    profile = change_current(session, lambda before: before | values)
    for key, value in values.items():
        print(f"Set {key} to {masked(key, value)!r} in profile {profile!r}.")


@app.command
def unset(*keys: Keys, session: InSession) -> None:
    """Take settings out of the profile in use.

    For example:
        headgate config unset HEADGATE_API_URL
    """
    if not keys:
        raise UsageError("Nothing to unset: give the name of a setting.")
    profile = change_current(session, lambda before: _without(before, keys))
    for key in keys:
        print(f"Took {key} out of profile {profile!r}.")


def _shown(loaded: Loaded, name: str, show_secrets: bool) -> Any:
    value = getattr(loaded.settings, name)
    return value if show_secrets else masked(name, value)


def _checked(key: str, text: str) -> tuple[str, Any]:
    name = env_name(setting_name(_known(key)))
    if name == env_name("home"):
        raise UsageError(f"{name} says where profiles are kept, so it cannot stand in one; set it in the environment.")
    try:
        value = parse(setting_name(name), text, origin="the command line")
    except ConfigError as error:
        raise UsageError(str(error)) from None
    if value in (None, ""):
        raise UsageError(f"{key} is given no value; `headgate config unset {key}` takes it out.")
    return name, value


def _known(key: str) -> str:
    """The environment name of a setting; a slip of the finger gets a hint."""
    try:
        return env_name(setting_name(key))
    except ConfigError:
        raise UsageError(f"There is no setting {key!r}{hint(key.upper(), map(env_name, NAMES))} {_ALL}") from None


def _without(values: Values, keys: Iterable[str]) -> Values:
    """The values without those of `keys`; also a key that no setting has any more can be taken out."""
    for key in keys:
        if key not in values and _known(key) not in values:
            raise NotFound(f"{_known(key)} is not set in this profile.")
    gone = {key if key in values else _known(key) for key in keys}
    return {key: value for key, value in values.items() if key not in gone}
