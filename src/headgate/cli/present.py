"""What a system holds now, read through its API: for exports, and for comparing it with a manifest."""

from dataclasses import replace
from uuid import UUID

from headgate.cli.find import every, flow_names
from headgate.client.calls import (
    block_documents,
    concurrency_limits,
    deployments,
    secrets,
    variables,
    work_pools,
    work_queues,
)
from headgate.client.client import Client
from headgate.core.manifests import Present, manifest_of
from headgate.schema.block_documents import BlockDocument, BlockDocumentQuery
from headgate.schema.concurrency_limits import ConcurrencyLimitQuery
from headgate.schema.document_filters import BlockDocumentFilter
from headgate.schema.filters import DeploymentQuery, SecretQuery, VariableQuery, WorkPoolQuery, WorkQueueQuery
from headgate.schema.manifests import Manifest


def read_present(client: Client, *, blocks: bool = False) -> Present:
    """Everything of the kinds that a manifest may name; `blocks` too, with their secrets, for comparing them."""
    present, _ = _read(client)
    return replace(present, blocks=_blocks(client)) if blocks else present


def _blocks(client: Client) -> dict[str, BlockDocument]:
    either = BlockDocumentFilter(is_anonymous=None)
    found = every(client, block_documents.query, BlockDocumentQuery(block_documents=either, include_secrets=True))
    return {f"{each.block_type.slug}/{each.name}": each for each in found}


def read_manifest(client: Client) -> Manifest:
    """Everything of these kinds, as a manifest."""
    return manifest_of(*_read(client))


def _read(client: Client) -> tuple[Present, dict[UUID, str]]:
    found = every(client, deployments.query, DeploymentQuery())
    flows = flow_names(client, {each.flow_id for each in found})
    queues = every(client, work_queues.query_all, WorkQueueQuery())
    present = Present(
        variables={each.name: each for each in every(client, variables.query, VariableQuery())},
        secrets={each.name: each for each in every(client, secrets.query, SecretQuery())},
        concurrency_limits={each.name: each for each in every(client, concurrency_limits.query, ConcurrencyLimitQuery())},
        work_pools={each.name: each for each in every(client, work_pools.query, WorkPoolQuery())},
        work_queues={(each.work_pool_name or "", each.name): each for each in queues},
        deployments={(flows[each.flow_id], each.name): each for each in found},
    )
    return present, flows
