"""Base job templates as the command line gets them: from a worker type, or from a file."""

from pathlib import Path
from typing import Any

import msgspec

from headgate.cli.output import UsageError
from headgate.errors import ConfigError
from headgate.schema.work_pools import UNTYPED
from headgate.worker.types import worker_type


def default_template(type: str) -> dict[str, Any]:
    """What pools of this type start with; agents read no template."""
    if type == UNTYPED:
        return {}
    try:
        return worker_type(type).default_base_job_template()
    except ConfigError as error:
        raise UsageError(f"{error} A pool of another type takes its template from a file.") from None


def installed_template(type: str) -> dict[str, Any]:
    """The same, or an empty one for a type that is not installed here."""
    try:
        return default_template(type)
    except UsageError:
        return {}


def read_template(path: Path, *, option: str = "--base-job-template") -> dict[str, Any]:
    """The template in the file that an option names."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"{option}: cannot read {path}: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{option}: {path} is not a JSON object: {error}.") from None


def write_template(template: dict[str, Any], path: Path) -> None:
    """Write a template to a file that must not exist yet: it might hold one that somebody has edited."""
    try:
        with path.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(template), indent=2) + b"\n")
    except FileExistsError:
        raise UsageError(f"--file: {path} exists already; name another file or remove it.") from None
    except OSError as error:
        raise UsageError(f"--file: cannot write {path}: {error.strerror}.") from None
