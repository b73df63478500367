"""Manifests in files: `headgate.yaml` with variables and work pools besides its deployments."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import yaml
from msgspec import UNSET, Struct, structs

from headgate.cli.output import Problems
from headgate.cli.plan import Destination, Plan, Surroundings, make_plan
from headgate.cli.project import Project, Raw, check_keys, entry_of, section
from headgate.errors import ConfigError, HeadgateError
from headgate.schema.deployments import DeploymentScheduleCreate, DeploymentUpdate
from headgate.schema.manifests import DeploymentSpec, LimitSpec, Manifest, PoolSpec, QueueSpec, VariableSpec

S = TypeVar("S", bound=Struct)


def manifest_in(
    project: Project,
    *,
    pool_of: Callable[[str], Destination],
    limit_of: Callable[[str], UUID],
    template_of: Callable[[str], dict[str, Any]],
    default_pool: str | None,
) -> tuple[Manifest, list[str]]:
    """What a file asks for, and warnings about it; `Problems` lists all that is wrong with its deployments.

    `pool_of` finds a pool that the file does not describe, `limit_of` the id of such a limit, `template_of` a type's own
    template.
    """
    pools = [_pool(raw, where) for where, raw in _items(project, "work_pools")]
    manifest = Manifest(
        variables=[_spec(VariableSpec, raw, where) for where, raw in _items(project, "variables")],
        concurrency_limits=[_spec(LimitSpec, raw, where) for where, raw in _items(project, "concurrency_limits")],
        work_pools=pools,
    )
    described = {pool.name: Destination(pool.name, pool.type, _template(pool, template_of)) for pool in pools}
    limits = {limit.name for limit in manifest.concurrency_limits}
    around = Surroundings(
        directory=project.directory,
        pool_of=lambda name: described.get(name) or pool_of(name),
        limit_of=lambda name: None if name in limits else limit_of(name),
        default_pool=default_pool,
    )
    warnings = [*project.warnings]
    problems: list[str] = []
    for where, raw in project.entries:
        try:
            plan = make_plan(entry_of(raw, where), where, around)
        except Problems as error:
            problems += error.lines
        except HeadgateError as error:
            problems.append(str(error))
        else:
            manifest.deployments.append(_deployment(plan))
            warnings += plan.warnings
    if problems:
        raise Problems([*problems, "Nothing was changed."])
    return manifest, warnings


def _items(project: Project, key: str) -> list[tuple[str, Raw]]:
    listed, where = project.sections.get(key, []), f"{project.file.name}: {key}"
    if not isinstance(listed, list):
        raise ConfigError(f"{where}: expected a list, with a `- name: …` for each.")
    for number, raw in enumerate(listed):
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{where}[{number}]: expected keys and values, got {raw!r}.")
    return [(f"{where}[{number}]", raw) for number, raw in enumerate(listed)]


def _spec(kind: type[S], raw: Any, where: str) -> S:
    check_keys(raw, kind.__struct_fields__, where)
    return section(kind, raw, where)


def _pool(raw: Raw, where: str) -> PoolSpec:
    queues = raw.get("work_queues")
    for number, queue in enumerate(queues if isinstance(queues, list) else ()):
        check_keys(queue, QueueSpec.__struct_fields__, f"{where}.work_queues[{number}]")
    return _spec(PoolSpec, raw, where)


def _template(spec: PoolSpec, template_of: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return template_of(spec.type) if spec.base_job_template is UNSET else spec.base_job_template


def _deployment(plan: Plan) -> DeploymentSpec:
    """What the plan sets; a deployment that names no queue goes to its pool's default one, as with a deploy."""
    given = {
        name: value
        for name in DeploymentUpdate.__struct_fields__
        if name != "global_concurrency_limit_id" and (value := getattr(plan.body, name)) is not None and value is not UNSET
    }
    wanted = DeploymentUpdate(**({"work_queue_name": "default"} | given))
    if plan.paused is not None:
        wanted.paused = plan.paused
    return DeploymentSpec(flow_name=plan.flow_name, name=plan.body.name, wanted=wanted, shared_limit=plan.shared_limit)


# --- to a file


def text_of(manifest: Manifest) -> str:
    """The manifest as YAML that reads back as itself."""
    content = {
        "variables": [msgspec.to_builtins(each) for each in manifest.variables],
        "concurrency_limits": [msgspec.to_builtins(each) for each in manifest.concurrency_limits],
        "work_pools": [_pool_entry(each) for each in manifest.work_pools],
        "deployments": [deployment_entry(each) for each in manifest.deployments],
    }
    held = {name: listed for name, listed in content.items() if listed} or {"deployments": []}
    return yaml.safe_dump(held, sort_keys=False, allow_unicode=True, width=100)


def _pool_entry(spec: PoolSpec) -> dict[str, Any]:
    entry = _without_nothing(msgspec.to_builtins(spec))
    entry["work_queues"] = [_without_nothing(msgspec.to_builtins(queue)) for queue in spec.work_queues]
    return {name: entry.pop(name) for name in ("name", "type")} | entry


def deployment_entry(spec: DeploymentSpec) -> dict[str, Any]:
    """A deployment as a file has it."""
    wanted = spec.wanted
    pool = {
        "name": wanted.work_pool_name,
        "work_queue_name": wanted.work_queue_name,
        "job_variables": wanted.job_variables,
    }
    entry = {
        "name": spec.name,
        "flow_name": spec.flow_name,
        "entrypoint": wanted.entrypoint,
        "command": wanted.command,
        "pull": wanted.pull_steps,
        "description": wanted.description,
        "version": wanted.version,
        "tags": wanted.tags,
        "parameters": wanted.parameters,
        "schedules": [_schedule_entry(each) for each in wanted.schedules or ()],
        "concurrency_limit": _limit_entry(spec),
        "concurrency_key": wanted.concurrency_key,
        "infra_retries": wanted.infra_retries,
        "paused": wanted.paused or None,
        "enforce_parameter_schema": False if wanted.enforce_parameter_schema is False else None,
        "work_pool": _without_nothing(msgspec.to_builtins(pool)),
        "labels": wanted.labels,
        "parameter_openapi_schema": wanted.parameter_openapi_schema,
    }
    # Of these two, nothing and left out differ: without a schema the code is looked at, without a path it is the file's.
    always = {"path": wanted.path, "parameter_openapi_schema": wanted.parameter_openapi_schema or {}}
    if wanted.command is not None:
        always.pop("parameter_openapi_schema")
    return _without_nothing(msgspec.to_builtins(entry)) | always


def _schedule_entry(schedule: DeploymentScheduleCreate) -> dict[str, Any]:
    misfire = schedule.misfire
    entry = {
        **structs.asdict(schedule.schedule),
        "slug": schedule.slug,
        "active": False if schedule.active is False else None,
        "parameters": schedule.parameters,
        "job_variables": schedule.job_variables,
        "max_scheduled_runs": schedule.max_scheduled_runs,
        "misfire": misfire.policy if misfire else None,
        "start_deadline": misfire.start_deadline_seconds if misfire else None,
    }
    return _without_nothing(msgspec.to_builtins({name: value for name, value in entry.items() if value is not UNSET}))


def _limit_entry(spec: DeploymentSpec) -> Any:
    limit, options = spec.wanted.concurrency_limit, spec.wanted.concurrency_options or None
    more = _without_nothing(msgspec.to_builtins(options)) if options is not None else {}
    if spec.shared_limit is not None:
        return {"shared": spec.shared_limit, **more}
    return limit if limit is UNSET or limit is None or not more else {"limit": limit, **more}


def _without_nothing(entry: dict[str, Any]) -> dict[str, Any]:
    """Without what is null, false by default, or an empty text, list or object."""
    return {name: value for name, value in entry.items() if value not in (None, "", [], {}) and value is not UNSET}


def write(text: str, path: Path, *, overwrite: bool) -> None:
    """Write the file; `ConfigError` where there is one already that is not to be overwritten."""
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; --overwrite replaces it, --file names another, - prints it.") from None
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from None
