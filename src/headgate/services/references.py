"""What the references of granted runs stand for: fetched as runs are granted, and kept nowhere else."""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.core.placeholders import Kind, Reference
from headgate.core.templates import list_references, missing
from headgate.errors import NotConfigured
from headgate.schema.claims import Grant
from headgate.services.encryption import keyring
from headgate.services.scope import Scope
from headgate.store import secrets as secret_rows
from headgate.store import variables as variable_rows
from headgate.store.database import Tx


async def attach(scope: Scope, tx: Tx, template: Mapping[str, Any], grants: Iterable[Grant]) -> None:
    """Give each grant what its template and job variables refer to; nothing is asked when they refer to nothing.

    What cannot be had is told in the grant: its run crashes with that, and no other run is kept from starting.
    """
    needed = [(grant, {use.reference for use in list_references(template, *_layers(grant))}) for grant in grants]
    wanted = {reference for _, references in needed for reference in references}
    if not wanted:
        return
    found: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    values = await variable_rows.values_of(tx, _names(wanted, Kind.VARIABLE))
    ciphertexts = await secret_rows.ciphertexts_of(tx, _names(wanted, Kind.SECRET))
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
    for grant, references in needed:
        keys = {reference.key for reference in references}
        grant.references = {key: value for key, value in found.items() if key in keys}
        grant.unresolved = {key: reason for key, reason in unresolved.items() if key in keys}


def _layers(grant: Grant) -> tuple[dict[str, Any], dict[str, Any]]:
    return (grant.deployment.job_variables if grant.deployment else {}, grant.flow_run.job_variables or {})


def _names(wanted: Iterable[Reference], kind: Kind) -> list[str]:
    return [reference.name for reference in wanted if reference.kind is kind]
