"""Task workers on the wire: clients that run tasks which others put off."""

from datetime import datetime

from msgspec import Struct


class TaskWorker(Struct, kw_only=True):
    """One that is connected; `timestamp` is when it was last known to be."""

    identifier: str
    task_keys: list[str]
    timestamp: datetime


class TaskWorkerFilter(Struct, kw_only=True):
    """Those that run any of these tasks; all of them when there are none."""

    task_keys: list[str]


class TaskWorkerQuery(Struct, kw_only=True):
    """Body that asks for task workers."""

    task_worker_filter: TaskWorkerFilter | None = None
