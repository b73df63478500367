"""Reading and writing `$HEADGATE_HOME/profiles.toml`; a write replaces the file whole or not at all."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import tomli_w

from headgate.cli.hints import hint
from headgate.cli.session import Session
from headgate.errors import ConfigError, NotFound
from headgate.settings import env_name, home_of, profile_of, profiles_file, read_profiles, setting_name

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Profiles:
    """The file: `active` is what it says, `current` what this invocation uses; values by environment name."""

    home: Path
    active: str
    current: str
    all: Mapping[str, Values]

    def get(self, name: str) -> Values:
        """The settings of a profile."""
        if name not in self.all:
            raise NotFound(f"There is no profile {name!r}{hint(name, self.all)}")
        return self.all[name]

    def save(self, *, active: str | None = None, all: Mapping[str, Values] | None = None) -> None:
        """Write the file with these in place of what it held."""
        _write(profiles_file(self.home), replace(self, active=active or self.active, all=self.all if all is None else all))


def profiles_of(session: Session) -> Profiles:
    """The file as it stands. No value is looked at: a wrong one can be mended with the command line."""
    home = home_of(os.environ)
    active, all = read_profiles(home)
    current = session.profile or profile_of(os.environ) or active
    return Profiles(home, active, current, {name: _by_env_name(values) for name, values in all.items()})


def change_current(session: Session, change: Callable[[Values], Values]) -> str:
    """Change the settings of the profile in use; its name."""
    profiles = profiles_of(session)
    changed = change(dict(profiles.get(profiles.current)))
    profiles.save(all={**profiles.all, profiles.current: changed})
    return profiles.current


def _by_env_name(values: Mapping[str, Any]) -> Values:
    return {_env_name(key): value for key, value in values.items()}


def _env_name(key: str) -> str:
    try:
        return env_name(setting_name(key))
    except ConfigError:
        return key


def _write(path: Path, profiles: Profiles) -> None:
    content = {"active": profiles.active, "profiles": {name: dict(values) for name, values in profiles.all.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The temporary file is readable by its owner only, and so is the file: profiles may hold passwords.
        with NamedTemporaryFile("wb", dir=path.parent, prefix=".profiles-", delete=False) as file:
            tomli_w.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except OSError as error:
        raise ConfigError(
            f"Cannot write {path}: {error.strerror}. Is HEADGATE_HOME a directory that you may write to?"
        ) from None
