"""`headgate version`: this program, and the API that it talks to."""

import platform
import sqlite3

from headgate import __version__
from headgate.cli.options import InSession, Output
from headgate.cli.output import print_json
from headgate.client.client import WIRE_VERSION


def version(*, output: Output = "table", session: InSession) -> None:
    """Say which version this is, on what it runs, and which API it talks to.

    Nothing is called: it works without a server.

    For example:
        headgate version -o json
    """
    loaded = session.loaded()
    facts = {
        "version": __version__,
        "api_version": WIRE_VERSION,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "os": f"{platform.system()} {platform.machine()}",
        "profile": loaded.profile,
        "home": str(loaded.settings.home_path),
        "api": loaded.settings.api_url or "ephemeral: the app in this process",
    }
    if output == "json":
        print_json(facts)
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' ') + ':':<13} {value}")
