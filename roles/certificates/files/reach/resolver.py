"""What a domain resolves to, by this machine's resolver or by a DNS server that is named."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Iterator

A, AAAA = 1, 28
NO_SUCH_NAME = 3


class UnresolvedError(Exception):
    """A domain has no address; the message says why."""


def addresses(domain: str, server: str, timeout: float) -> list[str]:
    """Every address of a domain, IPv4 first.

    Args:
        domain: the name.
        server: a DNS server, as `address` or `address:port`, asked over TCP; empty for this machine's resolver.
        timeout: seconds to wait for each answer of such a server.

    Raises:
        UnresolvedError: there is none.
    """
    if not server:
        found = _system(domain)
    else:
        host, _, port = server.partition(":") if server.count(":") < 2 else (server, "", "")
        place = host, int(port or 53)
        found = [address for kind in (A, AAAA) for address in _ask(domain, kind, place, timeout)]
    if not found:
        raise UnresolvedError("has no address in DNS")
    return found


def _system(domain: str) -> list[str]:
    try:
        found = socket.getaddrinfo(domain, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnresolvedError(f"does not resolve on this machine: {error.strerror or error}") from None
    return list(
        dict.fromkeys(str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET))
    )


def _ask(domain: str, kind: int, place: tuple[str, int], timeout: float) -> list[str]:
    number = secrets.randbelow(1 << 16)
    name = b"".join(bytes([len(label)]) + label.encode() for label in domain.split(".")) + b"\0"
    query = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", kind, 1)
    try:
        with socket.create_connection(place, timeout) as connection:
            connection.sendall(struct.pack(">H", len(query)) + query)
            (length,) = struct.unpack(">H", _exactly(connection, 2))
            answer = _exactly(connection, length)
        found_number, flags, *counts = struct.unpack_from(">6H", answer)
        if found_number != number:
            raise UnresolvedError(f"gets a wrong answer from {place[0]}:{place[1]}")
        if flags & 15 == NO_SUCH_NAME:
            return []
        if flags & 15:
            raise UnresolvedError(f"is refused by {place[0]}:{place[1]}, with DNS error {flags & 15}")
        return list(_records(answer, kind, counts[0], counts[1]))
    except (OSError, struct.error, IndexError, ValueError) as error:
        raise UnresolvedError(f"cannot be looked up at {place[0]}:{place[1]}: {error}") from None


def _exactly(connection: socket.socket, length: int) -> bytes:
    """So many bytes.

    Raises:
        ConnectionError: fewer came.
    """
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise ConnectionError("the answer was cut short")
        data += more
    return data


def _records(answer: bytes, kind: int, questions: int, records: int) -> Iterator[str]:
    """The addresses of one kind in an answer; the names on the way to them do not matter."""
    place = 12
    for _ in range(questions):
        place = _after_name(answer, place) + 4
    for _ in range(records):
        place = _after_name(answer, place)
        found, _, _, length = struct.unpack_from(">2HIH", answer, place)
        place += 10
        if found == kind:
            yield socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, answer[place : place + length])
        place += length


def _after_name(answer: bytes, place: int) -> int:
    """Where a name ends: in a zero, or in a pointer to an earlier one."""
    while answer[place]:
        if answer[place] >= 0xC0:
            return place + 2
        place += answer[place] + 1
    return place + 1
