"""A worker's stdout that went away does not disturb its runs."""

import asyncio
import io

from headgate.worker.echo import Echo


class Closed(io.StringIO):
    """A pipe whose reader is gone: small writes fit the buffer, the flush fails."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        raise BrokenPipeError


async def test_lines_are_flushed_together() -> None:
    class Counting(Closed):
        def flush(self) -> None:
            self.flushes += 1

    stream = Counting()
    echo = Echo(stream)
    echo.write("a")
    echo.write("b")
    assert stream.flushes == 0
    await asyncio.sleep(0)
    assert (stream.getvalue(), stream.flushes) == ("a\nb\n", 1)


async def test_a_broken_stdout_is_given_up_quietly() -> None:
    stream = Closed()
    echo = Echo(stream)
    echo.write("a")
    await asyncio.sleep(0)
    echo.write("b")
    await asyncio.sleep(0)
    assert (stream.getvalue(), stream.flushes) == ("a\n", 1)
