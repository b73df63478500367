"""Why a look for work found nothing although runs are due: for the log of the worker or the agent that looked."""

from collections.abc import Callable, Sequence
from uuid import UUID

from headgate.core.dispatch import GateKind
from headgate.core.reasons import as_message
from headgate.services.scope import Scope
from headgate.services.situations import Situation, situation_of
from headgate.store import explanations as rows
from headgate.store import previews as preview_rows
from headgate.store import work_queues as queue_rows
from headgate.store.database import Tx
from headgate.store.explanations import Located

_TOLD_OTHERWISE = (GateKind.POOL_PAUSED, GateKind.NO_WORKER)
"""The answer says by itself that its pool is paused; and whoever looks is there."""


async def tell(scope: Scope, pool_ids: Sequence[UUID], takes: Callable[[str], bool]) -> list[str]:
    """What holds back the oldest due run of each queue of these pools that the caller takes runs from, in sentences."""

    async def unit(tx: Tx) -> list[str]:
        queues = [id for id, name in (await queue_rows.names(tx, pool_ids)).items() if takes(name)]
        oldest = [await preview_rows.waiting(tx, [queue], until=scope.now, limit=1) for queue in queues]
        ids = [run.id for found in oldest for run in found]
        located = {run.candidate.id: run for run in await rows.candidates(tx, ids, now=scope.now)} if ids else {}
        runs = [located[id] for id in ids if id in located]
        situation = await situation_of(tx, runs, now=scope.now)
        return [*dict.fromkeys(sentence for run in runs if (sentence := _sentence(run, situation)))]

    return await scope.store.read(unit)


def _sentence(run: Located, situation: Situation) -> str | None:
    gates = [gate for gate in situation.gates(run) if gate.kind not in _TOLD_OTHERWISE]
    return as_message(f"a run is due, but {situation.sentence(gates[0], run)}") if gates else None
