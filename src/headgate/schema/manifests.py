"""Manifests: what a system is to hold, as a file or another server describes it. What is left out is left alone."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from headgate.schema.block_types import BlockTypeCreate, Slug
from headgate.schema.concurrency_limits import Decay
from headgate.schema.deployments import DeploymentUpdate
from headgate.schema.flows import Name
from headgate.schema.secrets import SecretValue
from headgate.schema.variables import ReferableName
from headgate.schema.work_pools import LaunchLimit, LaunchRate
from headgate.schema.work_queues import Limit, Priority


class QueueSpec(Struct, kw_only=True):
    """A work queue of a pool; without a priority a new one comes last."""

    name: Name
    description: str | None | UnsetType = UNSET
    is_paused: bool | UnsetType = UNSET
    concurrency_limit: Limit | None | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET


class PoolSpec(Struct, kw_only=True):
    """A work pool; without a template a new one has its type's. Queues that are not named stay as they are."""

    name: Name
    type: str
    description: str | None | UnsetType = UNSET
    base_job_template: dict[str, Any] | UnsetType = UNSET
    is_paused: bool | UnsetType = UNSET
    concurrency_limit: Limit | None | UnsetType = UNSET
    launch_rate: LaunchRate | None | UnsetType = UNSET
    launch_limit: LaunchLimit | None | UnsetType = UNSET
    fair_share: bool | UnsetType = UNSET
    work_queues: list[QueueSpec] = field(default_factory=list)


class VariableSpec(Struct, kw_only=True):
    """A variable with its value."""

    name: ReferableName
    value: Any
    tags: list[str] | UnsetType = UNSET


class SecretSpec(Struct, kw_only=True):
    """A secret with its value; files have none."""

    name: ReferableName
    value: SecretValue


class LimitSpec(Struct, kw_only=True):
    """A concurrency limit under a name; `tag:<tag>` is a tag's."""

    name: Name
    limit: Limit
    active: bool | UnsetType = UNSET
    slot_decay_per_second: Decay | UnsetType = UNSET


class BlockSchemaSpec(Struct, kw_only=True):
    """A block type and its schema."""

    type: BlockTypeCreate
    fields: dict[str, Any]
    capabilities: list[str] = field(default_factory=list)
    version: str


class BlockSpec(Struct, kw_only=True):
    """A block document; files have none. The last of `schemas` is its own, those before it are what its fields refer to.

    In `data`, `{"$block": "type/name"}` stands for another document.
    """

    schemas: Annotated[list[BlockSchemaSpec], Meta(min_length=1)]
    name: Slug
    data: dict[str, Any]
    is_anonymous: bool = False

    @property
    def full_name(self) -> str:
        """`type/name`."""
        return f"{self.schemas[-1].type.slug}/{self.name}"


class DeploymentSpec(Struct, kw_only=True):
    """A deployment by its flow's name and its own, and what is to be so of it; its blocks by `type/name`, and the
    named limit that it shares by its name."""

    flow_name: Name
    name: Name
    wanted: DeploymentUpdate
    infrastructure_block: str | None = None
    storage_block: str | None = None
    shared_limit: str | None = None

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow_name}/{self.name}"


class Manifest(Struct, kw_only=True):
    """What a system is to hold. In the order of its fields each kind needs only those before it."""

    variables: list[VariableSpec] = field(default_factory=list)
    secrets: list[SecretSpec] = field(default_factory=list)
    concurrency_limits: list[LimitSpec] = field(default_factory=list)
    blocks: list[BlockSpec] = field(default_factory=list)
    work_pools: list[PoolSpec] = field(default_factory=list)
    deployments: list[DeploymentSpec] = field(default_factory=list)
