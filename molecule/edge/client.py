"""A client that sends what no honest one would: bytes over TLS, and frames of HTTP/2 made by hand."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

# Longer than nginx waits for a client, so that its own end of a connection is seen.
PATIENCE = 40
_HEADERS, _RESET, _SETTINGS, _PING, _AWAY, _DATA = 1, 3, 4, 6, 7, 0
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
# RFC 7541, appendix A: the statuses that are one byte.
_STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}

Fields = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back; `status` is 0 where HTTP/2 refused the stream or the connection."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Client:
    """Connects to the test VPS, its certificate verified.

    Args:
        address: of the test VPS.
        port: that is published for 443.
        domain: to ask TLS for.
        authority: the file of the certificate authority.
    """

    address: str
    port: int
    domain: str
    authority: str

    def connect(self, *protocols: str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.authority)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection((self.address, self.port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=self.domain)

    def raw(self, data: bytes, expected: int) -> list[Answer]:
        """Send bytes, read the expected number of answers, then hang up and read whatever else comes."""
        with self.connect() as connection:
            _send(connection, data)
            stream = io.BufferedReader(_Stream(connection))
            answers: list[Answer] = []
            while len(answers) < expected and (answer := _answer(stream)):
                answers.append(answer)
            hang_up(connection)
            while answer := _answer(stream):
                answers.append(answer)
            return answers

    def frames(self, fields: Fields, body: bytes = b"") -> Answer:
        """Send one request over HTTP/2 whose fields nobody has looked at, and read its answer."""
        with self.connect("h2") as connection:
            # The zero says: a literal with a name of its own, not to be remembered.
            block = b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)
            flags = _END_HEADERS | (0 if body else _END_STREAM)
            data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0) + _frame(_HEADERS, flags, 1, block)
            if body:
                data += _frame(_DATA, _END_STREAM, 1, body)
            _send(connection, data)
            return _stream_answer(connection, io.BufferedReader(_Stream(connection)))


class _Stream(io.RawIOBase):
    """What a connection says; an end is an end, however it comes."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._connection.recv(len(buffer))
        except TimeoutError:
            raise
        except OSError:
            data = b""
        buffer[: len(data)] = data
        return len(data)


def hang_up(connection: ssl.SSLSocket) -> None:
    """Say that nothing more will be sent, and go on listening."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_WR)


def _send(connection: ssl.SSLSocket, data: bytes) -> None:
    """Send as much as the other side takes: it may have answered and left already."""
    try:
        connection.sendall(data)
    except TimeoutError:
        raise
    except OSError:
        pass


def _answer(stream: BinaryIO) -> Answer | None:
    """The next answer that is no 1xx, or None at the end."""
    line = stream.readline()
    if not line:
        return None
    if not line.startswith(b"HTTP/1."):
        # HTTP/0.9: the body is all there is.
        return Answer(9, {}, line + stream.read())
    headers = {}
    while (header := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    status = int(line.split()[1])
    if status < 200:
        return _answer(stream)
    return Answer(status, headers, _body(stream, headers))


def _body(stream: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return stream.read(int(headers["content-length"])) if "content-length" in headers else stream.read()
    blocks = []
    while size := int(stream.readline().split(b";")[0] or b"0", 16):
        blocks.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(blocks)


def _string(text: bytes) -> bytes:
    """A string of HPACK, not compressed."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, digits = len(text) - 127, b""
    while rest >= 128:
        digits += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + digits + bytes([rest]) + text


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _stream_answer(connection: ssl.SSLSocket, stream: BinaryIO) -> Answer:
    status, body = 0, b""
    while head := stream.read(9):
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = stream.read(size)
        if kind in {_RESET, _AWAY}:
            # A reset without an error only says that the rest of a request is not wanted.
            return Answer(status, {}, body)
        if kind == _SETTINGS and not flags & _ACK:
            _send(connection, _frame(_SETTINGS, _ACK, 0))
        if kind == _HEADERS:
            status = _status(payload)
        if kind == _DATA:
            body += payload
        if kind in {_HEADERS, _DATA} and flags & _END_STREAM:
            return Answer(status, {}, body)
    return Answer(status, {}, body)


def _status(block: bytes) -> int:
    """nginx sends the status first, after at most one update of the table's size, and never compresses it."""
    block = block[1:] if block[0] & 0xE0 == 0x20 else block
    return _STATUSES[block[0]] if block[0] in _STATUSES else int(block[2:5])
