"""Manifests: what a system is to hold, as a file or another server describes it. What is left out is left alone."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from headgate.schema.deployments import DeploymentUpdate
from headgate.schema.flows import Name
from headgate.schema.secrets import SecretValue
from headgate.schema.variables import ReferableName
from headgate.schema.work_pools import LaunchRate
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


class DeploymentSpec(Struct, kw_only=True):
    """A deployment by its flow's name and its own, and what is to be so of it."""

    flow_name: Name
    name: Name
    wanted: DeploymentUpdate

    @property
    def full_name(self) -> str:
        """`flow/deployment`."""
        return f"{self.flow_name}/{self.name}"


class Manifest(Struct, kw_only=True):
    """What a system is to hold. In the order of its fields each kind needs only those before it."""

    variables: list[VariableSpec] = field(default_factory=list)
    secrets: list[SecretSpec] = field(default_factory=list)
    work_pools: list[PoolSpec] = field(default_factory=list)
    deployments: list[DeploymentSpec] = field(default_factory=list)
