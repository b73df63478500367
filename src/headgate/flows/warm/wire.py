"""What a worker and its zygotes say to each other: framed records over a socket pair, file descriptors beside them."""

import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

MOST_DESCRIPTORS = 2
"""That come with one record."""

CHUNK = 65_536
_HEADER = 4


class Stamp(Struct, frozen=True, array_like=True):
    """A file as it was when it was read; one that is not there has the numbers 0."""

    path: str
    modified: int = 0
    size: int = 0
    inode: int = 0

    def is_current(self) -> bool:
        """Whether the file is still the same."""
        return stamp_of(self.path) == self


def stamp_of(path: str) -> Stamp:
    """The present stamp of a file; a directory's changes when something is added to it or taken out."""
    try:
        found = os.stat(path)
    except OSError:
        return Stamp(path)
    return Stamp(path, found.st_mtime_ns, found.st_size, found.st_ino)


class Birth(Struct, tag=True, array_like=True):
    """To a zygote: fork a process that executes a run. Beside it: the run's own line, and where its output goes.

    `assignment` is that of the run as JSON, empty when the process has to ask the API; `relayed`: whether the line stays
    open and carries its requests to the API.
    """

    order: int
    environment: dict[bytes, bytes]
    directory: str
    assignment: bytes = b""
    relayed: bool = False


class Preload(Struct, tag=True, array_like=True):
    """To a zygote: fork a zygote that has a flow's code imported. Beside it: that one's line to the worker."""

    order: int
    environment: dict[bytes, bytes]
    directory: str
    entrypoint: str
    directories: tuple[str, ...]


class Ready(Struct, tag=True, array_like=True):
    """From a zygote: it is good for runs until one of `files` changes. `memory` is what it takes, in bytes."""

    files: list[Stamp]
    memory: int


class Unfit(Struct, tag=True, array_like=True):
    """From a zygote that was to import a flow's code: why runs had better import it themselves.

    `failed` when another try may have another result though no file has changed.
    """

    reason: str
    files: list[Stamp]
    failed: bool = False


class Begun(Struct, tag=True, array_like=True):
    """From a forked process, on the run's line: from now on it executes the run. Beside it: its pidfd."""

    pid: int


class Refused(Struct, tag=True, array_like=True):
    """From a zygote, or from a forked process on the run's line: the order is not carried out, nothing has begun."""

    order: int
    reason: str


class Ended(Struct, tag=True, array_like=True):
    """From a zygote: the process of that order has ended with an exit code, `-n` for signal n."""

    order: int
    code: int


class Ask(Struct, tag=True, array_like=True):
    """From a run's process: a request to the API. The next is only sent after its answer."""

    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]
    timeout: float


class Answer(Struct, tag=True, array_like=True):
    """To a run's process: what the API answered."""

    status: int
    body: bytes
    headers: dict[str, str]


class Silence(Struct, tag=True, array_like=True):
    """To a run's process: the API did not answer."""

    reason: str


Record = Birth | Preload | Ready | Unfit | Begun | Refused | Ended | Ask | Answer | Silence

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def framed(record: Record) -> bytes:
    """A record as it goes over the line."""
    body = _encode(record)
    return len(body).to_bytes(_HEADER) + body


class Unframer:
    """Puts records together from the pieces that a stream brings."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, piece: bytes) -> list[Record]:
        """The records that this piece completes."""
        self._bytes += piece
        records: list[Record] = []
        while (record := self._next()) is not None:
            records.append(record)
        return records

    def _next(self) -> Record | None:
        end = _HEADER + int.from_bytes(self._bytes[:_HEADER])
        if len(self._bytes) < max(end, _HEADER + 1):
            return None
        body, self._bytes = self._bytes[_HEADER:end], self._bytes[end:]
        record: Record = _decode(body)
        return record


def send(line: socket.socket, record: Record, descriptors: Sequence[int] = ()) -> None:
    """Send, blocking. Raises `OSError` when nobody listens."""
    data = framed(record)
    if descriptors:
        data = data[socket.send_fds(line, [data], list(descriptors), socket.MSG_NOSIGNAL) :]
    if data:  # to send nothing fails too when the other side has read all and left
        line.sendall(data, socket.MSG_NOSIGNAL)


def receive_piece(line: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """What there is to read, up to `size` bytes, with the descriptors beside it, which programs do not inherit.

    (`socket.recv_fds` does not pass flags on.)
    """
    descriptors = array("i")
    room = socket.CMSG_LEN(MOST_DESCRIPTORS * descriptors.itemsize)
    piece, beside, _, _ = line.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return piece, list(descriptors)


def receive(line: socket.socket) -> tuple[Any, list[int]] | None:
    """The next record and its descriptors, blocking; None when the other side is gone."""
    try:
        header, descriptors = receive_piece(line, _HEADER)
        header += _exactly(line, _HEADER - len(header))
        return _decode(_exactly(line, int.from_bytes(header))), descriptors
    except (EOFError, ConnectionError):
        return None


def _exactly(line: socket.socket, size: int) -> bytes:
    pieces = []
    while size:
        piece = line.recv(min(size, 1_000_000))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
