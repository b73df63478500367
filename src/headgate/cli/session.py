"""What one invocation of the command line works with: its settings, its connection to the API, its clock."""

from dataclasses import dataclass
from typing import Any

from headgate import clock
from headgate.client.client import Client
from headgate.client.connect import connect
from headgate.settings import Loaded, Settings, load


@dataclass(frozen=True, slots=True)
class Session:
    """Handed to every command that asks for it."""

    profile: str | None = None
    now: clock.Clock = clock.now

    def loaded(self, **flags: Any) -> Loaded:
        """Settings with their sources; flags that are None count as not given."""
        return load(flags, profile=self.profile)

    def settings(self, **flags: Any) -> Settings:
        """Settings; flags that are None count as not given."""
        return self.loaded(**flags).settings

    def client(self, *, patience: float = 3.0) -> Client:
        """A client of the API that the settings name; `patience` as in `Client`. Close it."""
        return open_client(self.settings(), patience=patience)


def open_client(settings: Settings, *, patience: float) -> Client:
    """The one place where the command line connects."""
    return connect(settings, patience=patience)
