"""Every setting once: a line here gives its environment name, its profile key, its docs row and its help.

A value comes from, first match wins: flags, the environment (`HEADGATE_X`, else `PREFECT_X`), the active
profile of `$HEADGATE_HOME/profiles.toml`, the default.
"""

import os
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta, Struct, field, toml

from headgate.errors import ConfigError

PREFIX = "HEADGATE_"
PEER_PREFIX = "PREFECT_"
DEFAULT_PROFILE = "default"


class Source(StrEnum):
    """Where a value came from."""

    FLAG = "flag"
    ENV = "env"
    PEER_ENV = "env (PREFECT_ name)"
    PROFILE = "profile"
    DEFAULT = "default"


def _s(help: str, **bounds: Any) -> Meta:
    return Meta(description=help, **bounds)


class Settings(Struct, frozen=True, kw_only=True):
    """All settings. Durations are in seconds."""

    home: Annotated[str, _s("Directory of all local state.")] = "~/.headgate"
    api_url: Annotated[
        str | None, _s("URL of the API, ending in /api. Unset: the app runs in this process, on the default database.")
    ] = None
    api_auth_string: Annotated[str | None, _s("`user:password` that the client sends.")] = None
    api_request_timeout: Annotated[float, _s("How long a client waits for an answer.", gt=0)] = 60.0
    api_outage_tolerance: Annotated[
        float, _s("For how long engines and workers keep trying to reach an API that is away.", ge=0)
    ] = 600.0
    default_work_pool_name: Annotated[str | None, _s("Pool of deployments that name none.")] = None
    logging_level: Annotated[str, _s("Lowest level of log lines: the server's, the workers', and those that runs send.")] = (
        "INFO"
    )
    logging_to_api_enabled: Annotated[bool, _s("Send the log lines of runs to the API.")] = True
    logging_to_api_batch_interval: Annotated[float, _s("Longest time that a log line waits to be sent.", gt=0)] = 1.0
    logging_to_api_batch_size: Annotated[int, _s("Bytes of log lines sent in one call, at most.", ge=1)] = 1_000_000
    logging_to_api_max_buffered: Annotated[
        int, _s("Log lines of a run held in memory, at most; then the oldest unsent are dropped and counted.", ge=1)
    ] = 100_000
    server_api_host: Annotated[str, _s("Address that the server listens on.")] = "127.0.0.1"
    server_api_port: Annotated[int, _s("Port that the server listens on.", ge=0, le=65535)] = 4200
    server_api_workers: Annotated[
        int, _s("Server processes on one socket; more than one needs PostgreSQL.", ge=1, le=256)
    ] = 1
    server_api_auth_string: Annotated[
        str | None, _s("`user:password` that every call must carry. Unset: no authentication.")
    ] = None
    server_api_max_body_bytes: Annotated[int, _s("Largest request body.", ge=1)] = 10_000_000
    server_api_max_parameter_size: Annotated[
        int, _s("Largest parameters of a flow run or a deployment, in bytes of JSON. 0: any.", ge=0)
    ] = 524_288
    server_cors_allowed_origins: Annotated[
        str | None,
        _s("Sites whose pages may call the API, with commas between, such as `https://ui.example`; `*`: any. Unset: none."),
    ] = None
    server_csrf_protection_enabled: Annotated[
        bool, _s("Ask for a CSRF token, of `GET /csrf-token`, with every call that changes something.")
    ] = False
    server_csrf_token_expiration: Annotated[float, _s("How long a CSRF token is good.", gt=0, le=31_536_000)] = 3600.0
    server_encryption_key: Annotated[
        str | None,
        _s(
            "Key of the secrets: 32 bytes in base64; earlier keys may follow after commas. Unset: a file "
            "`$HEADGATE_HOME/encryption.key`, made when it is needed; on PostgreSQL a key must be set."
        ),
    ] = None
    server_database_connection_url: Annotated[
        str | None,
        _s("`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DB`. Unset: SQLite, `$HEADGATE_HOME/headgate.db`."),
    ] = None
    server_database_migrate_on_start: Annotated[
        bool, _s("Bring the database's schema up to date when the server starts.")
    ] = True
    server_database_direct_url: Annotated[
        str | None,
        _s("URL of PostgreSQL itself, for messages between servers, where the other URL is of a pooler."),
    ] = None
    server_database_prepared_statements: Annotated[
        bool, _s("Keep statements prepared on PostgreSQL; false behind a pooler that shares connections.")
    ] = True
    server_database_pool_size: Annotated[
        int, _s("Connections of a server process to PostgreSQL, at most; one more listens.", ge=2, le=1000)
    ] = 10
    server_database_connection_timeout: Annotated[
        float, _s("How long a connection to PostgreSQL may take to be made.", gt=0)
    ] = 10.0
    server_database_timeout: Annotated[
        float,
        _s("How long PostgreSQL may take over a call; beyond, it is answered with 503 and its connection is cut.", gt=0),
    ] = 30.0
    server_database_wait_seconds: Annotated[
        float, _s("How long a server that starts waits for a PostgreSQL that does not answer yet.", ge=0)
    ] = 30.0
    server_services_lease_seconds: Annotated[
        float, _s("How long a server on PostgreSQL leads at a background job without renewal; then another may.", ge=1)
    ] = 6.0
    server_services_scheduler_enabled: Annotated[bool, _s("Create runs from schedules in this server.")] = True
    server_services_scheduler_loop_seconds: Annotated[float, _s("Time between passes of the scheduler.", gt=0)] = 60.0
    server_services_scheduler_min_runs: Annotated[int, _s("Runs created ahead per schedule, at least.", ge=1)] = 3
    server_services_scheduler_max_runs: Annotated[int, _s("Runs created ahead per schedule, at most.", ge=1)] = 100
    server_services_scheduler_min_scheduled_time: Annotated[float, _s("How far ahead runs are created, at least.", ge=0)] = (
        3600.0
    )
    server_services_scheduler_max_scheduled_time: Annotated[float, _s("How far ahead runs are created, at most.", ge=0)] = (
        8_640_000.0
    )
    server_services_late_runs_enabled: Annotated[bool, _s("Mark runs as Late in this server.")] = True
    server_services_late_runs_loop_seconds: Annotated[float, _s("Time between passes that mark runs as Late.", gt=0)] = 5.0
    server_services_late_runs_after_seconds: Annotated[float, _s("How far past its time a run becomes Late.", ge=0)] = 15.0
    server_services_lifeline_enabled: Annotated[bool, _s("Recover runs whose holder died in this server.")] = True
    server_services_lifeline_loop_seconds: Annotated[float, _s("Time between passes that look for lapsed leases.", gt=0)] = (
        1.0
    )
    server_services_misfires_enabled: Annotated[
        bool, _s("Skip, in this server, runs that could not start in time, where their schedule's misfire policy says so.")
    ] = True
    server_services_misfires_loop_seconds: Annotated[
        float, _s("Time between passes that look for runs that could not start in time.", gt=0)
    ] = 5.0
    server_services_collisions_enabled: Annotated[
        bool, _s("Cancel, in this server, the runs that a deployment's collision strategy does not let wait.")
    ] = True
    server_services_collisions_loop_seconds: Annotated[
        float, _s("Time between passes that look for runs that may not wait for a slot.", gt=0)
    ] = 1.0
    server_services_pause_expirations_enabled: Annotated[
        bool, _s("Fail, in this server, paused runs that nobody resumed in time.")
    ] = True
    server_services_pause_expirations_loop_seconds: Annotated[
        float, _s("Time between passes that look for pauses whose time is up.", gt=0)
    ] = 5.0
    server_services_cancellation_cleanup_enabled: Annotated[
        bool, _s("End, in this server, what cancelled runs left behind, and cancellations that nobody carries out.")
    ] = True
    server_services_cancellation_cleanup_loop_seconds: Annotated[
        float, _s("Time between passes that look for what cancelled runs left behind.", gt=0)
    ] = 20.0
    server_services_cancellation_cleanup_cancelling_timeout_seconds: Annotated[
        float, _s("How long a run that nobody holds may be Cancelling before it is Cancelled.", gt=0)
    ] = 300.0
    server_services_statuses_enabled: Annotated[
        bool, _s("Tell, in this server, of pools, queues and deployments that became ready or are so no more.")
    ] = True
    server_services_statuses_loop_seconds: Annotated[
        float, _s("Time between passes that look for pools, queues and deployments of another status.", gt=0)
    ] = 15.0
    server_services_pruner_enabled: Annotated[bool, _s("Delete, in this server, what is older than it is to be kept.")] = (
        True
    )
    server_services_pruner_loop_seconds: Annotated[
        float, _s("Time between passes that delete old records; a pass takes half of it at most.", gt=0)
    ] = 60.0
    server_retention_runs_days: Annotated[
        float, _s("Days that a run is kept after its end, with its states and log lines; 0 means for ever.", ge=0, le=36_500)
    ] = 90.0
    server_retention_logs_days: Annotated[
        float, _s("Days that log lines are kept, also those of runs that stay; 0 means for ever.", ge=0, le=36_500)
    ] = 30.0
    server_retention_events_days: Annotated[
        float, _s("Days that events can be asked for; 0 means for ever.", ge=0, le=36_500)
    ] = 7.0
    server_retention_workers_days: Annotated[
        float, _s("Days that a worker is remembered after it went offline; 0 means for ever.", ge=0, le=36_500)
    ] = 30.0
    server_leases_seconds: Annotated[float, _s("How long a claim lasts without renewal.", ge=1)] = 20.0
    server_leases_grace_seconds: Annotated[
        float, _s("How much longer a running run is only suspected to be lost before it is Crashed.", ge=0)
    ] = 6.0
    server_polls_hold_seconds: Annotated[
        float,
        _s(
            "How long a poll of an existing client's worker, agent or `serve` is held open while there is no work; 0 "
            "answers at once. Keep it well below the clients' request timeout, which is 60 s.",
            ge=0,
            le=50,
        ),
    ] = 30.0
    worker_heartbeat_seconds: Annotated[
        float, _s("Time between the heartbeats of a worker or an agent, each of which renews its leases.", gt=0)
    ] = 5.0
    worker_wait_for_api_seconds: Annotated[
        float, _s("How long a worker or an agent that starts waits for an API that is away; 0 means for ever.", ge=0)
    ] = 0.0
    worker_query_seconds: Annotated[float, _s("Longest time that a worker goes without asking for work.", gt=0)] = 15.0
    worker_prefetch_seconds: Annotated[
        float, _s("How long before its time a worker may start a run's infrastructure.", ge=0, le=31_536_000)
    ] = 10.0
    worker_launch_limit: Annotated[
        int, _s("How many runs a worker or an agent starts at a time, at most; 0 means any number.", ge=0)
    ] = 0
    worker_cancel_grace_seconds: Annotated[float, _s("Time between SIGTERM and SIGKILL when a run is stopped.", ge=0)] = 30.0
    worker_shutdown_grace_seconds: Annotated[
        float, _s("How long a worker or an agent that is stopped by a signal waits for its runs before it stops them.", ge=0)
    ] = 30.0
    worker_warm_processes: Annotated[
        bool, _s("Fork the processes of flows from one that has the engine, and the flow's code, imported already.")
    ] = True
    worker_warm_flows: Annotated[int, _s("Flows whose code a worker holds imported, at most.", ge=0)] = 16
    worker_warm_memory_mb: Annotated[
        int, _s("Megabytes that a flow's imported code may take; beyond, each run imports it itself.", ge=1)
    ] = 512
    worker_warm_uses: Annotated[int, _s("Runs that are forked from one import of a flow's code, at most.", ge=1)] = 1000
    worker_warm_idle_seconds: Annotated[float, _s("How long a flow's code is held imported after its last run.", gt=0)] = (
        900.0
    )
    agent_query_interval: Annotated[float, _s("Longest time that an agent goes without asking for work.", gt=0)] = 15.0
    agent_prefetch_seconds: Annotated[
        float, _s("How long before its time an agent may start a run's infrastructure.", ge=0, le=31_536_000)
    ] = 10.0
    runner_process_limit: Annotated[int, _s("Runs that `serve` starts at a time, at most.", ge=1)] = 5

    @property
    def allowed_origins(self) -> list[str]:
        """The sites of `server_cors_allowed_origins`."""
        return [each.strip().rstrip("/") for each in (self.server_cors_allowed_origins or "").split(",") if each.strip()]

    @property
    def home_path(self) -> Path:
        """`home`, expanded."""
        return Path(self.home).expanduser()


NAMES: tuple[str, ...] = Settings.__struct_fields__
TYPES: Mapping[str, Any] = get_type_hints(Settings, include_extras=True)
DEFAULTS = Settings()


class Loaded(Struct, frozen=True):
    """Settings with the source of each value, by name."""

    settings: Settings
    sources: Mapping[str, Source]
    profile: str


def env_name(name: str) -> str:
    """`api_url` is set by `HEADGATE_API_URL`."""
    return PREFIX + name.upper()


def setting_name(key: str) -> str:
    """The setting that `HEADGATE_API_URL`, `PREFECT_API_URL` or `api_url` names; `ConfigError` when there is none."""
    name = key.strip().removeprefix(PREFIX).removeprefix(PEER_PREFIX).lower()
    if name not in NAMES:
        raise ConfigError(f"There is no setting {key!r}; `headgate config view --show-defaults` lists all.")
    return name


def help_of(name: str) -> str:
    """The one line of help of a setting."""
    return next(meta.description or "" for meta in TYPES[name].__metadata__ if isinstance(meta, Meta))


def parse(name: str, value: Any, *, origin: str) -> Any:
    """`value` (text or already typed) as the type of setting `name`; `ConfigError` names it, value and origin."""
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS and TYPES[name].__origin__ is bool:
        return _BOOLEANS[value.strip().lower()]
    try:
        parsed = msgspec.convert(value, TYPES[name], strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{env_name(name)}={value!r} (from {origin}) is not valid: {str(error).rstrip('.')}.") from None
    if isinstance(parsed, float) and not isfinite(parsed):
        raise ConfigError(f"{env_name(name)}={value!r} (from {origin}) is not valid: Expected a finite number.")
    return parsed


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def load(
    flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, profile: str | None = None
) -> Loaded:
    """Settings as flags, environment, profile and defaults give them."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources: dict[str, Source] = dict.fromkeys(NAMES, Source.DEFAULT)
    active, profiles = read_profiles(home_of(environ))
    active = profile or profile_of(environ) or active
    if active not in profiles:
        raise ConfigError(
            f"There is no profile {active!r}; `headgate profile ls` lists all, `headgate profile create` makes one."
        )
    for name, raw, source, origin in _layers(profiles[active], environ, flags or {}, active):
        values[name] = parse(name, raw, origin=origin)
        sources[name] = source
    return Loaded(Settings(**values), sources, active)


def home_of(environ: Mapping[str, str]) -> Path:
    """Where profiles are looked for; so this one setting cannot come from a profile."""
    home = environ.get(env_name("home")) or environ.get(PEER_PREFIX + "HOME") or DEFAULTS.home
    return Path(home).expanduser()


def profile_of(environ: Mapping[str, str]) -> str | None:
    """The profile that the environment asks for, in place of the active one."""
    return environ.get(PREFIX + "PROFILE") or environ.get(PEER_PREFIX + "PROFILE") or None


def _layers(
    profile: Mapping[str, Any], environ: Mapping[str, str], flags: Mapping[str, Any], active: str
) -> Iterator[tuple[str, Any, Source, str]]:
    """Every given value, weakest layer first."""
    for key, value in profile.items():
        if (name := _profile_setting(key, active)) is not None:
            yield name, value, Source.PROFILE, f"profile {active!r}"
    for prefix, source in ((PEER_PREFIX, Source.PEER_ENV), (PREFIX, Source.ENV)):
        for name in NAMES:
            if value := environ.get(prefix + name.upper()):
                yield name, value, source, "the environment"
    for name, value in flags.items():
        if value is not None:
            yield name, value, Source.FLAG, "a flag"


def _profile_setting(key: str, active: str) -> str | None:
    """The setting that a profile's key names; None for one of the peer's own, as in its environment."""
    try:
        name = setting_name(key)
    except ConfigError as error:
        if key.startswith(PEER_PREFIX):
            return None
        raise ConfigError(f"Profile {active!r}: {error} `headgate config unset {key}` takes it out.") from None
    if name == "home":
        raise ConfigError(f"Profile {active!r} sets {key}, which says where profiles are kept; set it in the environment.")
    return name


class _Profiles(Struct):
    """The file of profiles."""

    active: str = DEFAULT_PROFILE
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)


def profiles_file(home: Path) -> Path:
    """Where profiles are kept."""
    return home / "profiles.toml"


def read_profiles(home: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """The active profile's name, and all profiles with their keys. `default` always exists."""
    path = profiles_file(home)
    try:
        content = toml.decode(path.read_bytes(), type=_Profiles)
    except FileNotFoundError:
        content = _Profiles()
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}. Mend or remove the file.") from None
    return content.active, {DEFAULT_PROFILE: {}} | content.profiles


MASK = "********"
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*@")


def masked(key: str, value: Any) -> Any:
    """`value` of a setting without the password in it."""
    if not isinstance(value, str):
        return value
    if key.lower().endswith(("auth_string", "encryption_key")):
        return MASK
    return _PASSWORD.sub(rf"\1:{MASK}@", value)


def database_url(settings: Settings) -> str:
    """The database of a server with these settings."""
    path = str(settings.home_path / "headgate.db")
    for sign in "%?#":  # they mean something in a URL
        path = path.replace(sign, f"%{ord(sign):X}")
    return settings.server_database_connection_url or f"sqlite:///{path}"
