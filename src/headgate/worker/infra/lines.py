"""Lines to zygotes, and to the processes that they fork, in the worker's event loop."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from headgate.flows.warm.wire import CHUNK, Record, Unframer, framed, receive_piece


class Line:
    """A socket in the event loop: each record that comes is handed to `take`, the end is told to `lose`, once."""

    def __init__(self, line: socket.socket, take: Callable[[Record, list[int]], None], lose: Callable[[], object]) -> None:
        line.setblocking(False)
        self._socket = line
        self._take = take
        self._lose = lose
        self._unframer = Unframer()
        self._descriptors: list[int] = []
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(line, self.read)

    def detach(self) -> None:
        """Read no more."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)

    def close(self) -> None:
        """Neither read nor send any more."""
        self.detach()
        self._socket.close()

    def hush(self) -> None:
        """Read what has been sent; from here on the other side cannot send."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.read()

    def read(self) -> None:
        """Hand on what has come."""
        while True:
            try:
                piece, descriptors = receive_piece(self._socket, CHUNK)
                self._descriptors += descriptors
                records = self._unframer.feed(piece)
            except BlockingIOError:
                return
            except (OSError, msgspec.DecodeError):
                piece, records = b"", []
            for record in records:
                self._take(record, self._descriptors)
            if not piece:
                self.detach()
                self._lose()
                return

    async def send(self, record: Record, descriptors: Sequence[int] = ()) -> None:
        """Send, with these descriptors beside it. Raises `OSError` when nobody listens."""
        async with self._sending:
            rest = memoryview(framed(record))
            try:
                while rest:
                    try:
                        sent = self._send(rest, descriptors)
                    except BlockingIOError:
                        await self._writable()
                    else:
                        rest, descriptors = rest[sent:], ()
            except BaseException:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # half a record is none
                raise

    def _send(self, data: memoryview, descriptors: Sequence[int]) -> int:
        if not descriptors:
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        return socket.send_fds(self._socket, [data], list(descriptors), socket.MSG_NOSIGNAL)

    async def _writable(self) -> None:
        free = asyncio.Event()
        self._loop.add_writer(self._socket, free.set)
        try:
            await free.wait()
        finally:
            self._loop.remove_writer(self._socket)
