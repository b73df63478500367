"""The routes, one module per noun: each parses, calls one service and answers."""

from headgate.api.routes import (
    admin,
    agents,
    claims,
    collections,
    concurrency_limits,
    csrf_tokens,
    deployments,
    flow_run_states,
    flow_runs,
    flow_runs_bulk,
    flows,
    logs,
    secrets,
    task_runs,
    variables,
    work_pools,
    work_queues,
    worker_channel,
    workers,
)

ROUTERS = (
    admin.router,
    csrf_tokens.router,
    collections.router,
    flows.router,
    deployments.router,
    flow_runs.router,
    flow_runs_bulk.router,
    flow_run_states.router,
    task_runs.router,
    task_runs.states_router,
    work_pools.router,
    work_pools.queues_router,
    work_queues.router,
    workers.router,
    claims.router,
    concurrency_limits.router,
    concurrency_limits.tags_router,
    agents.router,
    logs.router,
    variables.router,
    secrets.router,
)

SOCKETS = (*worker_channel.SOCKETS, *logs.SOCKETS)
