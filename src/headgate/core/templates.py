"""Base job templates: `job_configuration` with `{{ placeholders }}`, and the `variables` (JSON Schema) that fill them.

    {"job_configuration": {"image": "{{ image }}", "args": ["--level={{ level }}"]},
     "variables": {"type": "object", "properties": {"image": {"type": "string"}, "level": {"default": 1}}}}

Values come in layers, each over the one before: the template's defaults, the deployment's job variables, the run's.
Null means unset: as a variable's default, and as the value that a deployment or run puts in the place of a default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from headgate.core import json_schema
from headgate.core.json_schema import Violation
from headgate.core.placeholders import (
    Kind,
    Path,
    Placed,
    Reference,
    Use,
    at,
    holds_reference,
    list_broken,
    list_uses,
    to_pointer,
    whole,
)
from headgate.core.rendering import Origin, Origins, Rendering, resolve
from headgate.core.template_lint import Finding, advise, defaults_of, lint, properties_of
from headgate.errors import Invalid

_WHERE_TO_SET = "set it in job_variables or as a default of the work pool"
BY_NAME = "env"
"""The variable that layers set name by name."""

Layer = Mapping[str, Any]
"""Values of variables by name: a deployment's job variables, or a run's."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


def overlay(*layers: Layer) -> dict[str, Any]:
    """The layers as one, each over those before it.

    A variable's value replaces the one before as a whole. Only of `env`, where both are objects, the names are merged; a
    null stays, so that it takes the name out of what was set before and out of the job's own environment.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            before = merged.get(name)
            by_name = name == BY_NAME and isinstance(before, Mapping) and isinstance(value, Mapping)
            merged[name] = {**before, **value} if by_name else value  # type: ignore[dict-item]
    return merged


def render(
    template: Mapping[str, Any],
    *layers: Layer,
    environ: Mapping[str, str] = NOTHING,
    references: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """The job configuration with every placeholder replaced; it shares nothing with what was given.

    The values are the template's defaults with the layers over them, see `overlay`. `{{ a.b }}` is the key `b` of the
    dict `a`, `{{ $NAME }}` a variable of `environ`, `{{ headgate.variables.NAME }}` what `references` has under
    `variables.NAME`. A placeholder that is all of a text becomes its value with its type; unset, it is left out, with its
    key or its place in a list. One within a longer text becomes text (other types as JSON); unset, nothing. References
    are replaced in values, too; all else that values hold is data: placeholders in it stay as they are.
    """
    values = resolve(overlay(defaults_of(template), *layers), references)
    return Rendering(values, {}, environ=environ, references=references).of(template)


@dataclass(frozen=True, slots=True)
class Traced:
    """A job configuration, and for each of its innermost places where what stands there comes from."""

    configuration: dict[str, Any]
    origins: Mapping[Path, tuple[Origin, ...]]


def trace(
    template: Mapping[str, Any], layers: Sequence[tuple[Origin, Layer]] = (), *, installed: Mapping[str, Any] = NOTHING
) -> Traced:
    """What `render` would answer, with the origin of each value; references and `{{ $NAME }}` stay as they are.

    A default that the `installed` template of the pool's type has, too, is the type's.
    """
    defaults, common = defaults_of(template), defaults_of(installed)
    origins = overlay(_origins_of_defaults(defaults, common), *(_origins(values, origin) for origin, values in layers))
    values = overlay(defaults, *(values for _, values in layers))
    rendering = Rendering(values, origins, environ=None, references=None)
    return Traced(rendering.of(template), rendering.origins)


def check(template: Mapping[str, Any]) -> None:
    """Raise Invalid, with the place at fault, for a template that could not be rendered.

    Fine is an empty one, or `job_configuration` and `variables`, both objects, with a variable for every placeholder.
    """
    for finding in lint(template):
        if finding.is_error:
            words = f"{_words_of_old(finding)}base job template: {finding.pointer} {finding.reason}"
            raise Invalid(words, field=f"base_job_template.{finding.dotted}", value=finding.value)


def _words_of_old(finding: Finding) -> str:
    """What existing clients and their tests look for in the message, before our own words."""
    if len(finding.path) == 1:
        return "The `base_job_template` must contain both a `job_configuration` key and a `variables` key. "
    if finding.path[0] == "job_configuration" and "no such variable" in finding.reason:
        return (
            "The variables specified in the job configuration template must be present as properties in the variables "
            f"schema. Your job configuration uses the following undeclared variable(s): {finding.value}. "
        )
    return ""


def validate_variables(
    template: Mapping[str, Any],
    *layers: Layer,
    references: Mapping[str, Any] | None = None,
    doing: str | None = None,
    partial: bool = False,
    known_only: bool = False,
) -> None:
    """Raise Invalid, naming the variable, for the first of `list_misfits`.

    Variables that the template does not know have no effect and pass, unless its `additionalProperties` are false or
    `known_only` is asked for, as for people, who may have misspelt a name. Its `detail` begins with what the caller is
    `doing`, such as "creating flow run".
    """
    for misfit in list_misfits(template, *layers, references=references, partial=partial):
        if misfit.is_unknown and not known_only:
            continue  # a template that forbids it says so itself
        detail = doing and f"Error {doing}: {misfit.words_of_old}"
        raise Invalid(misfit.message, field=misfit.field, value=misfit.value, detail=detail)


@dataclass(frozen=True, slots=True)
class Misfit(Placed):
    """A value of the layers that does not fit a template, placed in the job variables; without a path, what they lack."""

    reason: str
    value: Any
    is_unknown: bool = False
    advice: str = ""

    @property
    def field(self) -> str:
        """The place as `Invalid` has it."""
        return ".".join(filter(None, ("job_variables", self.dotted)))

    @property
    def message(self) -> str:
        """The place and the reason, in a sentence."""
        if self.is_unknown:
            return f"job variable {self.reason}"
        words = f"job variable {self.pointer}: {self.reason}" if self.path else f"job variables: {self.reason}"
        return f"{words}; {self.advice}" if self.advice else words

    @property
    def words_of_old(self) -> str:
        """The same as existing clients and their tests know it."""
        place = f" for field {self.dotted!r}" if self.path else ""
        return f"Validation failed{place}. Failure reason: {self.reason}"


def list_misfits(
    template: Mapping[str, Any], *layers: Layer, references: Mapping[str, Any] | None = None, partial: bool = False
) -> list[Misfit]:
    """All values that the template does not know or that its schema refuses, and the required ones that are missing.

    Required ones must be there once defaults are filled in, unless `partial`: a further layer may bring them. Defaults
    themselves are not judged: they are the pool's, and whoever sends values cannot mend them. An empty template takes
    anything. A value that holds a reference is judged only as far as that can be said before launch; with `references`,
    what they name, it is judged whole, a default that holds one included, and no secret shows in a reason.
    """
    if not template:
        return []
    given, written = overlay(*layers), overlay(defaults_of(template), *layers)
    found = [*_unknown(template, given), *(Misfit(path, flaw, at(given, path)) for path, flaw in list_broken(given))]
    values = _without_unset(written if references is None else resolve(written, references))
    schema = template.get("variables", {})
    for violation in json_schema.list_violations(schema, values, field="base_job_template.variables", partial=partial):
        told = violation if references is None else _without_secrets(violation, at(written, violation.path))
        if not violation.path:
            advice = _WHERE_TO_SET if violation.keyword == "required" else ""
            found.append(Misfit((), told.reason, dict(given), advice=advice))
        elif _is_judged(violation, given, written, launched=references is not None):
            found.append(Misfit(told.path, told.reason, told.value))
    return found


def list_references(template: Mapping[str, Any], *layers: Layer) -> list[Use]:
    """Every reference that a job of these layers needs, with its place: in the template, or in the job variables."""
    uses = list(list_uses(template.get("job_configuration", {}), ("job_configuration",)))
    defaults, given = defaults_of(template), overlay(*layers)
    for use in list_uses(overlay(defaults, *layers)):
        name, *rest = use.path
        default = ("variables", "properties", name, "default", *rest)
        uses.append(Use(("job_variables", *use.path) if _has(given, use.path) else default, use.reference))
    return uses


def check_references(
    template: Mapping[str, Any], *layers: Layer, references: Mapping[str, Any], unresolved: Mapping[str, str] = NOTHING
) -> None:
    """Raise Invalid for the first reference that `references` has nothing for: its name, its place, and what to do.

    `unresolved` says of some why they could not be had.
    """
    for use in list_references(template, *layers):
        if (key := use.reference.key) not in references:
            reason = unresolved.get(key) or missing(use.reference)
            raise Invalid(f"{use.reference}, used at {to_pointer(use.path)}, cannot be resolved: {reason}")


def missing(reference: Reference) -> str:
    """That there is no such variable or secret, and the command that makes it."""
    command = f"headgate {reference.kind} set {reference.name}{' VALUE' * (reference.kind is Kind.VARIABLE)}"
    return f"there is no {reference.kind} {reference.name!r}; `{command}` creates it."


def _has(value: Any, path: Path) -> bool:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _unknown(template: Mapping[str, Any], given: Layer) -> list[Misfit]:
    if template.get("variables", {}).get("additionalProperties"):
        return []
    unknown = [name for name in given if name not in properties_of(template)]
    advice = {name: f"{name!r} is unknown to this work pool; {advise(template, name)}" for name in unknown}
    return [Misfit((name,), reason, given[name], is_unknown=True) for name, reason in advice.items()]


def _without_unset(values: Layer) -> dict[str, Any]:
    """The values without what is null: variables, and names in `env`."""
    found = {name: value for name, value in values.items() if value is not None}
    if isinstance(env := found.get(BY_NAME), Mapping):
        found[BY_NAME] = {name: value for name, value in env.items() if value is not None}
    return found


_OF_KEYS = frozenset({"additionalProperties", "required", "minProperties", "maxProperties", "minItems", "maxItems"})
"""Keywords that judge an object's names or a list's length: what is in them does not matter."""


def _is_judged(violation: Violation, given: Layer, written: Layer, *, launched: bool) -> bool:
    """Whether a violation is for whoever gave the layers to mend, and certain."""
    name = str(violation.path[0])
    if launched:
        return name in given or holds_reference(written.get(name))
    return name in given and not _is_undecided(violation)


def _is_undecided(violation: Violation) -> bool:
    """Whether a reference may turn out to be what the schema wants."""
    match violation.value:
        case str() as text if whole(text) is None and violation.keyword == "type":
            return False  # a reference within a longer text: it stays text
        case dict() | list() if violation.keyword in _OF_KEYS:
            return False
        case value:
            return holds_reference(value)


def _without_secrets(violation: Violation, written: Any) -> Violation:
    """A violation that was found once references were resolved, told without what secrets hold."""
    used = {use.reference: None for use in list_uses(written)}
    names = ", ".join(map(str, used))
    if any(reference.kind is Kind.SECRET for reference in used) and violation.keyword != "required":
        reason = f"what {names} stands for breaks the rule {violation.keyword!r} of its schema"
        return replace(violation, reason=reason, value=written)
    return replace(violation, reason=violation.reason + f" (from {names})" * bool(used and violation.path))


def _origins(values: Layer, origin: Origin) -> Origins:
    return {
        name: dict.fromkeys(value, origin) if name == BY_NAME and isinstance(value, Mapping) else origin
        for name, value in values.items()
    }


def _origins_of_defaults(defaults: Layer, common: Layer) -> Origins:
    """The type's where it has the same default, in `env` the same name with it; else the pool's."""
    origins = {name: Origin.TYPE if common.get(name) == value else Origin.POOL for name, value in defaults.items()}
    env, theirs = defaults.get(BY_NAME), common.get(BY_NAME)
    if not isinstance(env, Mapping):
        return origins
    shared = theirs if isinstance(theirs, Mapping) else {}
    of_names = {name: Origin.TYPE if shared.get(name) == value else Origin.POOL for name, value in env.items()}
    return {**origins, BY_NAME: of_names}
