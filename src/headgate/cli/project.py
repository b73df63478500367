"""A project's file, `headgate.yaml`, `prefect.yaml` or `deployment.yaml`: its deployments, checked for unknown keys."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import UNSET, Struct, UnsetType

from headgate.cli.hints import hint
from headgate.errors import ConfigError, NotFound
from headgate.schema.deployments import CollisionStrategy, ConcurrencyKey, GraceSeconds, InfraRetries, MisfirePolicy

FILES = ("headgate.yaml", "prefect.yaml", "deployment.yaml")
"""Looked for in this order."""

Raw = Mapping[str, Any]
S = TypeVar("S", bound=Struct)


class ScheduleEntry(Struct, kw_only=True):
    """A schedule as the file has it; `interval` and `start_deadline` in seconds, or with units such as `15m`."""

    interval: float | str | None = None
    anchor_date: datetime | None = None
    cron: str | None = None
    day_or: bool | None = None
    rrule: str | None = None
    timezone: str | None = None
    slug: str | None = None
    active: bool | None = None
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    max_scheduled_runs: int | None = None
    misfire: MisfirePolicy | None = None
    start_deadline: float | str | None = None
    replaces: str | None = None


class LimitEntry(Struct, kw_only=True):
    """A concurrency limit of the deployment's own, or the name of one that it shares; and what happens to a run that it does
    not admit."""

    limit: int | None = None
    shared: str | None = None
    collision_strategy: CollisionStrategy | None = None
    grace_period_seconds: GraceSeconds | None = None


class WorkPoolEntry(Struct, kw_only=True):
    """Where a deployment's runs go. `infra_overrides` is the older name of `job_variables`; its keys may be dotted."""

    name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    infra_overrides: dict[str, Any] | None = None


class DeploymentEntry(Struct, kw_only=True):
    """One deployment as the file has it; of old, `infra_overrides` stood here.

    `path`, `labels` and `parameter_openapi_schema` are for code that is not here: an export has them. With a schema the
    code is not looked at.
    """

    name: str | None = None
    version: str | int | float | None = None
    tags: list[str] | None = None
    description: str | None = None
    entrypoint: str | None = None
    command: str | None = None
    flow_name: str | None = None
    parameters: dict[str, Any] | None = None
    schedule: ScheduleEntry | None = None
    schedules: list[ScheduleEntry] | None = None
    concurrency_limit: LimitEntry | None = None
    concurrency_key: ConcurrencyKey | None = None
    infra_retries: InfraRetries | int | None = None
    paused: bool | None = None
    enforce_parameter_schema: bool | None = None
    work_pool: WorkPoolEntry | None = None
    infra_overrides: dict[str, Any] | None = None
    build: Any = None
    push: Any = None
    pull: list[dict[str, Any]] | None = None
    path: str | None | UnsetType = UNSET
    labels: dict[str, Any] | None = None
    parameter_openapi_schema: dict[str, Any] | None = None


SECTIONS = ("variables", "concurrency_limits", "work_pools")
"""What a file may hold besides deployments: `headgate apply` goes by them, `headgate deploy` does not."""

_PROJECT_KEYS = ("name", "prefect-version", "build", "push", "pull", "definitions", "deployments", *SECTIONS)
_SINGLE_KEYS = set(DeploymentEntry.__struct_fields__) - set(_PROJECT_KEYS)
"""One of these on top tells a file that is one deployment from a file with a list."""

_ELSEWHERE = {
    "triggers": "; automations are not part of a deployment here",
    "sla": "; service levels are not part of a deployment here",
    "catchup": "; missed runs are not made up for",
    "infrastructure": "; name a work pool instead: `work_pool: {name: …}`",
    "job_variables": "; it stands in work_pool",
    "work_queue_name": "; it stands in work_pool",
    "is_schedule_active": "; a schedule has `active`",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A file's deployments, each with where it stands in the file; `directory` is what entrypoints are relative to."""

    file: Path
    directory: Path
    entries: Sequence[tuple[str, Raw]]
    sections: Raw = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The deployments' names, for people."""
        return [str(entry.get("name")) for _, entry in self.entries]


def find_file(directory: Path) -> Path | None:
    """The file of a project, if it has one."""
    return next((path for name in FILES if (path := directory / name).is_file()), None)


def read_project(file: Path) -> Project:
    """The file's deployments, keys checked; `ConfigError` names the first thing that is wrong."""
    content = _load(file)
    if not content.keys() & {"deployments", *SECTIONS} and content.keys() & _SINGLE_KEYS:
        entries: list[tuple[str, Raw]] = [(file.name, {k: v for k, v in content.items() if k not in _PROJECT_KEYS[1:]})]
    else:
        check_keys(content, _PROJECT_KEYS, file.name)
        entries = list(_listed(content, file))
    pull = {"pull": content["pull"]} if content.get("pull") else {}
    checked = [(where, pull | dict(_known_keys(entry, where))) for where, entry in entries]
    sections = {key: content[key] for key in SECTIONS if content.get(key) is not None}
    return Project(file, file.resolve().parent, checked, sections, list(_warnings(content, file)))


def entry_of(raw: Raw, where: str) -> DeploymentEntry:
    """A deployment with the environment's values filled in; `ConfigError` names what is wrong in it."""
    filled = _filled(raw, where)
    limit = filled.get("concurrency_limit")
    if limit is not None and not isinstance(limit, dict):
        filled["concurrency_limit"] = {"limit": limit}
    if isinstance(key := filled.get("concurrency_key"), str):
        filled["concurrency_key"] = {"expression": key}
    entry = section(DeploymentEntry, filled, where)
    _check_limit(entry.concurrency_limit, where)
    return entry


def _check_limit(limit: LimitEntry | None, where: str) -> None:
    if limit is not None and (limit.limit is None) == (limit.shared is None):
        raise ConfigError(
            f"{where}.concurrency_limit: give either `limit`, a number of runs, or `shared`, the name of a limit that "
            "`headgate global-concurrency-limit ls` lists."
        )


def section(kind: type[S], raw: Any, where: str) -> S:
    """`raw` as `kind`."""
    try:
        # Not strict: an environment variable is text, also where a number is wanted.
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise ConfigError(f"{where}{place.rstrip('`')}: {message}.") from None


def _load(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {file}: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not YAML: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file} holds nothing; it needs a key such as `deployments:` with a list.")
    return content


def _listed(content: Raw, file: Path) -> Iterator[tuple[str, Raw]]:
    listed = content.get("deployments") or []
    if not isinstance(listed, list):
        raise ConfigError(f"{file.name}: deployments: expected a list, with a `- name: …` for each deployment.")
    for number, entry in enumerate(listed):
        where = f"{file.name}: deployments[{number}]"
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: expected keys and values, got {entry!r}.")
        yield where, entry


def _known_keys(entry: Raw, where: str) -> Raw:
    """The entry, when it and what stands in it have no key that means nothing."""
    check_keys(entry, DeploymentEntry.__struct_fields__, where)
    check_keys(entry.get("work_pool"), WorkPoolEntry.__struct_fields__, f"{where}.work_pool")
    check_keys(entry.get("concurrency_limit"), LimitEntry.__struct_fields__, f"{where}.concurrency_limit")
    check_keys(entry.get("concurrency_key"), ConcurrencyKey.__struct_fields__, f"{where}.concurrency_key")
    check_keys(entry.get("infra_retries"), InfraRetries.__struct_fields__, f"{where}.infra_retries")
    check_keys(entry.get("schedule"), ScheduleEntry.__struct_fields__, f"{where}.schedule")
    schedules = entry.get("schedules")
    for number, schedule in enumerate(schedules if isinstance(schedules, list) else ()):
        check_keys(schedule, ScheduleEntry.__struct_fields__, f"{where}.schedules[{number}]")
    return entry


def check_keys(content: Any, known: Sequence[str], where: str) -> None:
    """`ConfigError` for a key that means nothing there."""
    if not isinstance(content, Mapping):
        return  # of the wrong kind, which is said when it is converted
    for key in content:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{_ELSEWHERE.get(key) or hint(str(key), known)}")


def _warnings(content: Raw, file: Path) -> Iterator[str]:
    for key in ("build", "push"):
        if content.get(key):
            yield f"{file.name}: the `{key}` steps are not run; run them yourself before you deploy."


_ENVIRONMENT = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")


def _filled(value: Any, where: str) -> Any:
    """`value` with every `{{ $NAME }}` replaced by that environment variable."""
    match value:
        case str():
            return _ENVIRONMENT.sub(lambda match: _variable(match[1], where), value)
        case Mapping():
            return {key: _filled(_dated(key, item), f"{where}.{key}") for key, item in value.items()}
        case list():
            return [_filled(item, f"{where}[{number}]") for number, item in enumerate(value)]
        case _:
            return value


def _dated(key: str, value: Any) -> Any:
    """YAML reads `2026-01-01` as a date; an anchor is its midnight."""
    if key == "anchor_date" and isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


_AT_LAUNCH = (
    " It is filled in here, when you deploy; for one of the worker's environment the pool's base job template has a "
    "`{{ $NAME }}`."
)


def _variable(name: str, where: str) -> str:
    if name not in os.environ:
        is_for_job = "job_variables" in where or "infra_overrides" in where
        raise ConfigError(f"{where}: the environment variable {name} is not set.{_AT_LAUNCH * is_for_job}")
    return os.environ[name]
