"""Lines of runs arrive in batches, in order, the last ones always; what had to go is counted."""

import asyncio
import logging
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from headgate.client.client import AsyncClient
from headgate.client.transport import Response
from headgate.settings import Settings
from headgate.worker.channel import Channel
from headgate.worker.run_logs import RunLogs

RUN, OTHER = uuid4(), uuid4()


@pytest.fixture
def make(api: Any, settings: Settings) -> Any:
    def make(**changes: Any) -> RunLogs:
        channel = Channel(AsyncClient(api, patience=0.0), logger=logging.getLogger("test"), tolerance=1.0)
        return RunLogs(channel, msgspec.structs.replace(settings, **changes))

    return make


def messages(api: Any, id: UUID = RUN) -> list[str]:
    return [line.message for line in api.logs if line.flow_run_id == id]


async def test_lines_are_sent_within_the_interval_in_one_call(api: Any, make: Any) -> None:
    logs = make(logging_to_api_batch_interval=0.05)
    sender = asyncio.create_task(logs.run())
    for n in range(10):
        logs.write(RUN, str(n))
        logs.write(OTHER, str(n))
    await api.until(lambda: api.logs)
    sender.cancel()
    assert messages(api) == messages(api, OTHER) == [str(n) for n in range(10)]
    assert len(api.log_batches) == 1


async def test_a_full_batch_does_not_wait_for_the_interval(api: Any, make: Any) -> None:
    logs = make(logging_to_api_batch_interval=1000, logging_to_api_batch_size=10_000)
    sender = asyncio.create_task(logs.run())
    for _ in range(20):
        logs.write(RUN, "x" * 1000)
    await api.until(lambda: len(api.logs) >= 8)
    sender.cancel()
    assert max(api.log_batches) < 13_000


async def test_flush_sends_the_lines_of_one_run_whatever_others_write(api: Any, make: Any) -> None:
    logs = make()
    logs.write(RUN, "last")
    logs.write(OTHER, "not yet")
    await logs.flush(RUN)
    assert messages(api) == ["last"]
    assert messages(api, OTHER) == []


async def test_flush_waits_for_lines_that_another_task_is_sending(api: Any, make: Any) -> None:
    logs = make()
    logs.write(RUN, "on its way")
    first = asyncio.create_task(logs.flush_all())
    await asyncio.sleep(0)
    await logs.flush(RUN)
    assert messages(api) == ["on its way"]
    await first


async def test_the_oldest_lines_go_first_and_are_counted(api: Any, make: Any) -> None:
    logs = make(logging_to_api_max_buffered=3)
    for n in range(10):
        logs.write(RUN, str(n))
    await logs.flush(RUN)
    assert messages(api) == ["7 earlier lines were dropped: they came faster than the API took them.", "7", "8", "9"]


async def test_a_batch_that_is_too_large_for_the_server_is_halved(api: Any, make: Any) -> None:
    logs = make()
    original = api._write_logs

    async def picky(body: bytes) -> Response:
        if len(body) > 600:
            return Response(413, b'{"detail":"too large"}')
        response: Response = await original(body)
        return response

    api._write_logs = picky
    for n in range(10):
        logs.write(RUN, str(n))
    await logs.flush(RUN)
    assert messages(api) == [str(n) for n in range(10)]


async def test_lines_survive_an_outage(api: Any, make: Any) -> None:
    logs = make()
    logs.write(RUN, "kept")
    api.failures += [Response(503, b"{}"), Response(500, b"{}")]
    await logs.flush(RUN)
    assert messages(api) == ["kept"]


async def test_a_refused_batch_is_named_and_does_not_stop_the_next(
    api: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logs = make()
    logs.write(RUN, "refused")
    api.failures.append(Response(422, b'{"detail":"no"}'))
    await logs.flush(RUN)
    logs.write(RUN, "next")
    await logs.flush(RUN)
    assert messages(api) == ["next"]
    assert "1 log lines of runs are lost: no" in caplog.text


async def test_nothing_is_sent_when_that_is_switched_off(api: Any, make: Any) -> None:
    logs = make(logging_to_api_enabled=False)
    logs.write(RUN, "quiet")
    await logs.flush_all()
    assert api.requests == []
