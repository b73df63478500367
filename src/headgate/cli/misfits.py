"""Deployments whose job variables do not fit a base job template."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from headgate.cli.find import every, flow_names
from headgate.client.calls import deployments
from headgate.client.client import Client
from headgate.core.templates import Layer, Misfit, list_misfits
from headgate.schema.filters import DeploymentQuery, IdFilter, WorkPoolFilter
from headgate.schema.work_pools import WorkPool


class Misfitting(Struct, kw_only=True):
    """A value of a deployment, or of its schedule, that does not fit; `already`: nor does it fit the pool as it is."""

    deployment: str
    schedule: str | None = None
    pointer: str
    reason: str
    already: bool


def misfits_of(client: Client, pool: WorkPool, other: dict[str, Any]) -> Iterator[Misfitting]:
    """What of the pool's deployments does not fit the other template; or, marked so, not even the pool's own."""
    query = DeploymentQuery(work_pools=WorkPoolFilter(id=IdFilter(any_=[pool.id])))
    found = every(client, deployments.query, query)
    names = flow_names(client, {each.flow_id for each in found})
    for each in sorted(found, key=lambda each: (names.get(each.flow_id, ""), each.name)):
        layered: list[tuple[str | None, tuple[Layer, ...]]] = [(None, (each.job_variables,))]
        for number, schedule in enumerate(each.schedules):
            if schedule.job_variables:
                layered.append((schedule.slug or f"schedules[{number}]", (each.job_variables, schedule.job_variables)))
        told: set[tuple[str, str]] = set()
        for schedule_name, layers in layered:
            present, then = _by_place(pool.base_job_template, layers), _by_place(other, layers)
            for place, misfit in (then | present).items():
                if place not in told:
                    yield Misfitting(
                        deployment=f"{names.get(each.flow_id, '')}/{each.name}",
                        schedule=schedule_name,
                        pointer=misfit.pointer,
                        reason=misfit.reason,
                        already=place in present,
                    )
            told |= present.keys() | then.keys()


def _by_place(template: dict[str, Any], layers: Sequence[Layer]) -> dict[tuple[str, str], Misfit]:
    """What does not fit, by its place or, where something lacks, by what that is."""
    misfits = list_misfits(template, *layers)
    return {(misfit.pointer, "" if misfit.pointer else misfit.reason): misfit for misfit in misfits}
