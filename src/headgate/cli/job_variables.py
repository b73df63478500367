"""A deployment's job variables: all that its entry sets, also under the older name and with dotted keys."""

from collections.abc import Mapping
from typing import Any

from headgate.cli.project import DeploymentEntry, WorkPoolEntry
from headgate.core.templates import overlay
from headgate.errors import Invalid


def job_variables_of(entry: DeploymentEntry) -> dict[str, Any]:
    """The entry's `infra_overrides`, its pool's over them, and over both its pool's `job_variables`.

    `Invalid` for a dotted key that leads into what is no object.
    """
    pool = entry.work_pool or WorkPoolEntry()
    return overlay(
        _nested(entry.infra_overrides or {}, "infra_overrides"),
        _nested(pool.infra_overrides or {}, "work_pool.infra_overrides"),
        pool.job_variables or {},
    )


def _nested(overrides: Mapping[str, Any], field: str) -> dict[str, Any]:
    """`{"env.A": 1}` as `{"env": {"A": 1}}`; keys without a dot first, dotted ones go into what they set."""
    nested: dict[str, Any] = {}
    for key in sorted(overrides, key=lambda key: "." in key):
        *way, last = key.split(".")
        holder = nested
        for step in way:
            holder[step] = dict(inner) if isinstance(inner := holder.get(step, {}), Mapping) else inner
            if not isinstance(holder[step], dict):
                raise Invalid(f"{key!r} leads into {step!r}, which is {inner!r} and no object", field=field)
            holder = holder[step]
        holder[last] = overrides[key]
    return nested
