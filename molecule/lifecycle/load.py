"""Visitors of an app: browsers that keep their connection, fresh ones, slow pages, uploads, downloads; or those of a
guestbook, who read and sign it.

A program of its own, so that the checks' work does not slow it down. It runs until its standard input ends or a limit
is reached, looks into every answer, and leaves one JSON line a request. Nothing is ever asked twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlencode

PATIENCE = 20
# So many requests say something about a run.
ENOUGH = 10_000
UPLOAD = os.urandom(4 * 1024 * 1024)
PIECE = 512 * 1024
PAGE = re.compile(r'href="(?P<asset>[^"]+)".*release=(?P<release>\S+) version=(?P<version>\S+) on-disk=(?P<disk>\S+) '
                  r"mark=(?P<mark>[^<]+)<")  # fmt: skip

TOKEN = re.compile(r'name="csrf_token" type="hidden" value="([^"]+)"')


@dataclass
class Record:
    """One request; `error` is empty where the answer was right, times are the wall clock's."""

    kind: str
    began: float
    ended: float = 0
    release: str = ""
    version: str = ""
    mark: str = ""
    error: str = ""


class WrongAnswerError(Exception):
    """An answer came, but not the right one."""


@dataclass
class Connection:
    """One connection over TLS, opened where there is none and kept as long as the server keeps it; and one cookie."""

    address: str
    port: int
    domain: str
    tls: ssl.SSLContext
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    cookie: str = ""

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, pause: float = 0, form: bool = False, right: str = "200"
    ) -> bytes:
        """The content of the answer.

        Args:
            method: the request's.
            path: the request's.
            body: the request's.
            pause: seconds between the pieces of what is sent.
            form: whether the body is a form's.
            right: the status that the answer must have.
        """
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(
                self.address, self.port, ssl=self.tls, server_hostname=self.domain
            )
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.domain}:{self.port}\r\nContent-Length: {len(body)}\r\n"
        head += f"Cookie: {self.cookie}\r\n" if self.cookie else ""
        head += "Content-Type: application/x-www-form-urlencoded\r\n" if form else ""
        self.writer.write(f"{head}\r\n".encode())
        for start in range(0, len(body), PIECE):
            self.writer.write(body[start : start + PIECE])
            await self.writer.drain()
            await asyncio.sleep(pause)
        await self.writer.drain()
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.cookie = headers.get("set-cookie", self.cookie).partition(";")[0]
        content = await self._body(self.reader, headers)
        if headers.get("connection") == "close":
            self.close()
        if status.split()[1] != right:
            raise WrongAnswerError(f"{path}: {status}")
        return content

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers["content-length"]))
        blocks = []
        while size := int(await reader.readline(), 16):
            blocks.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(blocks)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


@dataclass
class Load:
    """All visitors and what they saw."""

    address: str
    port: int
    domain: str
    authority: str
    limit: int
    records: list[Record] = field(default_factory=list)
    announced: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.tls = ssl.create_default_context(cafile=self.authority)

    def connect(self) -> Connection:
        return Connection(self.address, self.port, self.domain, self.tls)

    @contextlib.asynccontextmanager
    async def one(self, kind: str, connection: Connection) -> AsyncIterator[Record]:
        """Time a request and note why it failed, if it did."""
        record = Record(kind, time.time())
        try:
            async with asyncio.timeout(PATIENCE):
                yield record
        except (OSError, EOFError, ValueError, TimeoutError, WrongAnswerError) as error:
            record.error = f"{type(error).__name__}: {error}"
            connection.close()
        record.ended = time.time()
        self.records.append(record)
        if kind in {"slow", "sign"} and not self.announced:
            self.announced = True
            print("open", flush=True)
        if len(self.records) == ENOUGH:
            print("enough", flush=True)
        if len(self.records) >= self.limit:
            self.over.set()

    async def page(self, connection: Connection) -> None:
        """A page, then the stylesheet that it names: both of one version."""
        found = None
        async with self.one("page", connection) as record:
            found = PAGE.search((await connection.ask("GET", "/")).decode())
            if found is None:
                raise WrongAnswerError("not our page")
            record.release, record.version, record.mark = found["release"], found["version"], found["mark"]
            if found["disk"] != found["version"]:
                raise WrongAnswerError(f"code of version {found['version']} found files of version {found['disk']}")
        if found is not None:
            async with self.one("asset", connection) as record:
                record.version = found["version"]
                if f"/* version {found['version']} */" not in (await connection.ask("GET", found["asset"])).decode():
                    raise WrongAnswerError(f"{found['asset']} is not of version {found['version']}")

    async def fresh(self, connection: Connection) -> None:
        connection.close()
        await self.page(connection)

    async def slow(self, connection: Connection) -> None:
        async with self.one("slow", connection) as record:
            record.release = _release(await connection.ask("GET", "/slow"))

    async def upload(self, connection: Connection) -> None:
        async with self.one("upload", connection) as record:
            answer = await connection.ask("POST", "/upload", UPLOAD, pause=0.06)  # long enough to meet a switch
            record.release = _release(answer)
            if f"size={len(UPLOAD)} sha256={hashlib.sha256(UPLOAD).hexdigest()}" not in answer.decode():
                raise WrongAnswerError("what arrived is not what was sent")

    async def stream(self, connection: Connection) -> None:
        async with self.one("stream", connection) as record:
            data, _, last = (await connection.ask("GET", "/stream")).rpartition(b"\n")
            record.release = _release(last)
            if f"sha256={hashlib.sha256(data).hexdigest()}" not in last.decode():
                raise WrongAnswerError("what arrived is not what the last line says")

    async def repeat(self, visit: Callable[[Connection], Awaitable[None]], delay: float, period: float) -> None:
        await asyncio.sleep(delay)
        connection = self.connect()
        while not self.over.is_set():
            began = time.monotonic()
            await visit(connection)
            await asyncio.sleep(max(0.0, period - (time.monotonic() - began)))
        connection.close()

    async def read(self, connection: Connection) -> None:
        async with self.one("read", connection):
            if b'name="csrf_token"' not in await connection.ask("GET", "/"):
                raise WrongAnswerError("no guestbook")

    async def sign(self, connection: Connection) -> None:
        """Sign the guestbook, with words that nobody else has; where it takes them, they are the record's mark."""
        words = f"visit-{time.time_ns()}"
        async with self.one("sign", connection) as record:
            token = TOKEN.search((await connection.ask("GET", "/")).decode())
            if token is None:
                raise WrongAnswerError("no form")
            form = urlencode({"name": "Ada", "message": words, "csrf_token": token[1]})
            await connection.ask("POST", "/", form.encode(), form=True, right="303")
            record.mark = words
        if record.mark:
            # No page may be older than what its reader has written.
            async with self.one("again", connection):
                if words.encode() not in await connection.ask("GET", "/"):
                    raise WrongAnswerError("the page does not have what was written")

    def crowd(self, guestbook: bool) -> list[tuple[Callable[[Connection], Awaitable[None]], int, float]]:
        """Who comes, how many of them, and how often each, in seconds."""
        if guestbook:
            return [(self.read, 4, 0.1), (self.sign, 4, 0.2)]
        # About 200 requests a second, and eleven slow ones at any time.
        return [
            (self.page, 8, 0.1),
            (self.fresh, 2, 0.25),
            (self.slow, 11, 0),
            (self.upload, 1, 1),
            (self.stream, 2, 1),
        ]

    async def run(self, seconds: float, *, guestbook: bool) -> None:
        visitors = [
            asyncio.create_task(self.repeat(visit, number * 0.9 / count, period))
            for visit, count, period in self.crowd(guestbook)
            for number in range(count)
        ]
        asyncio.get_running_loop().add_reader(sys.stdin, self.over.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
        self.over.set()
        await asyncio.gather(*visitors)


def _release(answer: bytes) -> str:
    found = re.search(rb"release=(\S+)", answer)
    if found is None:
        raise WrongAnswerError("names no release")
    return found[1].decode()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--authority", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--guestbook", action="store_true")
    given = parser.parse_args()
    load = Load(given.address, given.port, given.domain, given.authority, given.requests)
    await load.run(given.seconds, guestbook=given.guestbook)
    given.out.write_text("".join(f"{json.dumps(asdict(record))}\n" for record in load.records))


if __name__ == "__main__":
    asyncio.run(main())
