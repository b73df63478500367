"""What the references of granted runs stand for: fetched as runs are granted, and kept nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headgate.core.placeholders import Kind, Reference, holds_reference
from headgate.core.template_lint import defaults_of
from headgate.core.templates import list_references, missing
from headgate.errors import NotConfigured
from headgate.schema.claims import Grant
from headgate.services.encryption import keyring
from headgate.services.scope import Scope
from headgate.store import secrets as secret_rows
from headgate.store import variables as variable_rows
from headgate.store.database import Tx


async def attach(scope: Scope, tx: Tx, template: Mapping[str, Any], grants: Sequence[Grant]) -> None:
    """Give each grant what its template and job variables refer to; nothing is asked when they refer to nothing.

    What cannot be had is told in the grant: its run crashes with that, and no other run is kept from starting.
    """
    if not grants:
        return
    in_template = any(map(holds_reference, (template.get("job_configuration"), defaults_of(template))))
    referring = [grant for grant in grants if in_template or any(map(holds_reference, grant.layers))]
    needed = [(grant, {use.reference for use in list_references(template, *grant.layers)}) for grant in referring]
    found, unresolved = await fetch(scope, tx, {reference for _, references in needed for reference in references})
    for grant, references in needed:
        keys = {reference.key for reference in references}
        grant.references = {key: value for key, value in found.items() if key in keys}
        grant.unresolved = {key: reason for key, reason in unresolved.items() if key in keys}


async def fetch(scope: Scope, tx: Tx, wanted: set[Reference]) -> tuple[dict[str, Any], dict[str, str]]:
    """What references stand for, and why others could not be had; by their keys."""
    found: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    variables, secrets = _names(wanted, Kind.VARIABLE), _names(wanted, Kind.SECRET)
    values = await variable_rows.values_of(tx, variables) if variables else {}
    ciphertexts = await secret_rows.ciphertexts_of(tx, secrets) if secrets else {}
    for reference in wanted:
        match reference:
            case Reference(Kind.VARIABLE, name) if name in values:
                found[reference.key] = values[name]
            case Reference(Kind.SECRET, name) if name in ciphertexts:
                try:
                    found[reference.key] = keyring(scope).unseal(ciphertexts[name], name)
                except NotConfigured as error:
                    unresolved[reference.key] = str(error)
            case _:
                unresolved[reference.key] = missing(reference)
    return found, unresolved


def _names(wanted: Iterable[Reference], kind: Kind) -> list[str]:
    return [reference.name for reference in wanted if reference.kind is kind]
