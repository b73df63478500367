"""Calls about task workers."""

from headgate.client.call import Call
from headgate.schema.task_workers import TaskWorker, TaskWorkerQuery


def query(body: TaskWorkerQuery | None = None) -> Call[list[TaskWorker]]:
    """Task workers that are connected."""
    return Call("POST", "/task_workers/filter", body=body or TaskWorkerQuery(), returns=list[TaskWorker])
