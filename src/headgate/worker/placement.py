"""Which infrastructure a run goes to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.core.templates import Layer
from headgate.errors import Invalid
from headgate.schema.claims import Grant, PolledPool
from headgate.schema.work_pools import UNTYPED
from headgate.worker.types import WorkerType

TYPE = "type"
"""The job variable by which a run of an untyped pool names its infrastructure."""

DEFAULT_TYPE = "process"


@dataclass(frozen=True, slots=True)
class Placement:
    """The infrastructure of a run, the template that describes it, and the layers of its variables in that template."""

    infrastructure: WorkerType
    template: dict[str, Any]
    layers: Sequence[Layer]


Place = Callable[[Grant, PolledPool], Placement]
"""Finds the placement of a granted run of a pool. Raises `HeadgateError` with a message for the run's owner."""


def in_type(infrastructure: WorkerType) -> Place:
    """Every run goes to this infrastructure, as a worker has only one."""

    def place(grant: Grant, pool: PolledPool) -> Placement:
        return Placement(infrastructure, _template(pool, infrastructure), grant.layers)

    return place


def by_name(types: Mapping[str, WorkerType]) -> Place:
    """Runs of a typed pool go to its type, those of an untyped one to the type that their job variable `type` names."""

    def place(grant: Grant, pool: PolledPool) -> Placement:
        if pool.type != UNTYPED:
            infrastructure = _find(types, pool.type, f"Work pool {pool.name!r} is of type")
            return Placement(infrastructure, _template(pool, infrastructure), grant.layers)
        own = pool.base_job_template.get("variables", {}).get("properties", {})
        infrastructure = _find(types, _named(grant, own), f"The job variable {TYPE!r} names")
        layers = grant.layers if TYPE in own else [_without_type(layer) for layer in grant.layers]
        return Placement(infrastructure, _template(pool, infrastructure), layers)

    return place


def _named(grant: Grant, own: Mapping[str, Any]) -> Any:
    """The type that a run asks for, or the default of its pool's own template, or a process."""
    declared = own.get(TYPE)
    default = declared.get("default") if isinstance(declared, Mapping) else None
    return next((named for named in (grant.job_variables.get(TYPE), default) if named is not None), DEFAULT_TYPE)


def _without_type(layer: Layer) -> Layer:
    return {name: value for name, value in layer.items() if name != TYPE}


def _template(pool: PolledPool, infrastructure: WorkerType) -> dict[str, Any]:
    return pool.base_job_template or infrastructure.default_base_job_template()


def _find(types: Mapping[str, WorkerType], name: Any, what: str) -> WorkerType:
    found = types.get(name) if isinstance(name, str) else None
    if found is None:
        installed = ", ".join(sorted(types)) or "none"
        raise Invalid(
            f"{what} {name!r}, which is not installed where the agent runs; installed: {installed}.",
            field=f"job_variables.{TYPE}",
            value=name,
        )
    return found
