"""Whether a run's job can be made of its pool's template, asked by who makes it and by who explains why it would not be."""

from collections.abc import Mapping
from typing import Any

from headgate.core.templates import NOTHING, Layer, Misfit, check_references, list_misfits, validate_variables
from headgate.errors import Invalid


def check_launch(
    template: Mapping[str, Any], *layers: Layer, references: Mapping[str, Any], unresolved: Mapping[str, str] = NOTHING
) -> None:
    """Raise Invalid for the first reference that cannot be resolved, or the first value that does not fit the template."""
    check_references(template, *layers, references=references, unresolved=unresolved)
    validate_variables(template, *layers, references=references)


def flaw_of(
    template: Mapping[str, Any],
    deployment: Layer,
    run: Layer,
    *,
    references: Mapping[str, Any],
    unresolved: Mapping[str, str] = NOTHING,
) -> str | None:
    """The first thing that `check_launch` has against a job of these layers, and what to do; None when it has nothing.

    No secret shows in it.
    """
    try:
        check_references(template, deployment, run, references=references, unresolved=unresolved)
    except Invalid as error:
        return str(error).rstrip(".")
    for misfit in list_misfits(template, deployment, run, references=references):
        return (
            misfit.message if misfit.advice or misfit.is_unknown else f"{misfit.message}; {_remedy(misfit, deployment, run)}"
        )
    return None


def _remedy(misfit: Misfit, deployment: Layer, run: Layer) -> str:
    name = str(misfit.path[0])
    if name in run:
        return "the run itself sets it: make the run again with another value"
    if name in deployment:
        return "its deployment sets it: change it in the deployment's job_variables"
    return "it is the default of the work pool: change it there, or set it in job_variables"
