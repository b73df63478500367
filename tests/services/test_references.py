"""What granted runs refer to comes with their grants, in one transaction, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import json, structs
from world import World

from headgate.schema.secrets import SecretCreate, SecretUpdate
from headgate.schema.variables import VariableCreate, VariableUpdate
from headgate.services import secrets, variables
from headgate.store import secrets as secret_rows
from headgate.store import variables as variable_rows

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
TEMPLATE = {
    "job_configuration": {"env": "{{ env }}", "image": "{{ image }}", "region": "in {{ headgate.variables.region }}"},
    "variables": {
        "type": "object",
        "properties": {"env": {"type": "object"}, "image": {"default": "{{ prefect.variables.image }}"}},
    },
}


@pytest.fixture
async def town(world: World, tmp_path: Path) -> World:
    """A world with a key, a pool whose template refers to two variables, and what most tests refer to."""
    settings = structs.replace(world.scope.settings, home=str(tmp_path), server_encryption_key=KEY)
    town = World(replace(world.scope, settings=settings), world.clock)
    await town.pool(base_job_template=TEMPLATE)
    for name, value in (("region", "eu"), ("image", {"name": "x", "tag": 1}), ("idle", 1)):
        await variables.create(town.scope, VariableCreate(name=name, value=value))
    await secrets.create(town.scope, SecretCreate(name="token", value="s3cret"))
    return town


async def test_a_grant_brings_what_its_run_refers_to(town: World) -> None:
    """In the template, in its defaults, and in the variables of the deployment and of the run; and nothing else."""
    it = await town.deploy(job_variables={"env": {"T": "{{ prefect.blocks.secret.token }}"}})
    plain = await town.run(it, job_variables={"image": "y"})
    other = await town.run(it, job_variables={"env": {"T": None, "R": "{{ headgate.variables.idle }}"}})
    grants = {grant.flow_run.id: grant for grant in await town.grants()}
    assert grants[plain.id].references == {"variables.region": "eu", "secrets.token": "s3cret"}
    assert grants[other.id].references == {
        "variables.region": "eu",
        "variables.image": {"name": "x", "tag": 1},
        "variables.idle": 1,
    }
    assert all(grant.unresolved == {} for grant in grants.values())


async def test_a_run_gets_what_is_there_when_it_is_granted(town: World) -> None:
    it = await town.deploy(job_variables={"image": "{{ headgate.secrets.token }}"})
    await town.run(it)
    await variables.update_by_name(town.scope, "region", VariableUpdate(value="us"))
    await secrets.update(town.scope, "token", SecretUpdate(value="new"))
    [grant] = await town.grants()
    assert grant.references == {"variables.region": "us", "secrets.token": "new"}


async def test_what_cannot_be_had_is_told_and_holds_nobody_back(town: World) -> None:
    it = await town.deploy()
    lost = await town.run(
        it, job_variables={"env": {"A": "{{ headgate.variables.lost }}", "B": "{{ headgate.secrets.gone }}"}}
    )
    fine = await town.run(it)
    grants = {grant.flow_run.id: grant for grant in await town.grants()}
    assert grants[fine.id].unresolved == {}
    assert grants[lost.id].unresolved == {
        "variables.lost": "there is no variable 'lost'; `headgate variable set lost VALUE` creates it.",
        "secrets.gone": "there is no secret 'gone'; `headgate secret set gone` creates it.",
    }
    assert grants[lost.id].references.keys() == {"variables.region", "variables.image"}


async def test_a_secret_under_another_key_is_told_and_holds_nobody_back(town: World) -> None:
    it = await town.deploy()
    sealed = await town.run(it, job_variables={"env": {"T": "{{ headgate.secrets.token }}"}})
    fine = await town.run(it)
    settings = structs.replace(town.scope.settings, server_encryption_key=OTHER)
    stranger = World(replace(town.scope, settings=settings), town.clock)
    grants = {grant.flow_run.id: grant for grant in await stranger.grants()}
    assert grants.keys() == {sealed.id, fine.id}
    assert "secret 'token' was encrypted with another key" in grants[sealed.id].unresolved["secrets.token"]
    assert "secrets.token" not in grants[sealed.id].references


async def test_what_refers_to_nothing_asks_for_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No statement more for the claim."""

    async def refused(*_: Any) -> Any:
        raise AssertionError("asked for values that nobody refers to")

    monkeypatch.setattr(variable_rows, "values_of", refused)
    monkeypatch.setattr(secret_rows, "ciphertexts_of", refused)
    await world.pool()
    await world.run(await world.deploy(job_variables={"env": {"A": "{{ $HOME }}", "B": "{{ x }}"}}))
    [grant] = await world.grants()
    assert (grant.references, grant.unresolved) == ({}, {})


async def test_nothing_that_was_resolved_is_stored_or_shown(town: World) -> None:
    """The deployment, the run, its states and its events show the reference."""
    it = await town.deploy(job_variables={"env": {"T": "x{{ headgate.secrets.token }}"}})
    run = await town.run(it, job_variables={"image": "{{ headgate.variables.region }}"})
    [grant] = await town.grants()
    await town.accepted(grant, "RUNNING", "COMPLETED")
    shown = [it, await town.get(run), await town.states(run), grant.job_variables, grant.deployment, grant.flow_run]
    assert b"s3cret" not in json.encode(shown)
    assert b"{{ headgate.secrets.token }}" in json.encode(grant.job_variables)
    for table, column in (("deployment", "job_variables"), ("flow_run_detail", "job_variables"), ("secret", "ciphertext")):
        kept = str(await town.scope.store.read(lambda tx, t=table, c=column: tx.fetch(f"SELECT {c} FROM {t}")))
        assert "s3cret" not in kept
