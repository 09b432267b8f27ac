"""A few visitors who ask for the same page again and again, and what they waited."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.host import HTTPS_PORT, KEYS

DOMAIN = "guestbook.localhost"
VISITORS = 4
# Together 80 requests a second: enough to see a pause of some milliseconds, too few to be the load that is measured.
PAUSE = 0.05


@dataclass
class Waited:
    """How long each answer took, in milliseconds, and how many questions got none or a bad one."""

    times: list[float] = field(default_factory=list)
    failed: int = 0

    def part(self, share: float) -> float:
        """The time within which that share of the answers came."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class _Connection(http.client.HTTPSConnection):
    """HTTPS to the VPS on this machine, under the app's name and with its certificate verified."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", HTTPS_PORT, timeout=20, context=context)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._tls.wrap_socket(plain, server_hostname=DOMAIN)


def _visit(connection: _Connection, waited: Waited) -> None:
    start = time.monotonic()
    try:
        connection.request("GET", "/", headers={"Host": DOMAIN})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        waited.failed += 1
        return
    waited.times.append((time.monotonic() - start) * 1000)
    waited.failed += answer.status != 200


@contextmanager
def visiting() -> Iterator[Waited]:
    """Have visitors ask as long as the block runs."""
    context = ssl.create_default_context(cafile=str(KEYS / "authority.pem"))
    waited, done = Waited(), threading.Event()

    def visitor() -> None:
        connection = _Connection(context)
        # Connected once: a handshake would be measured as well.
        while not done.wait(PAUSE):
            _visit(connection, waited)
        connection.close()

    threads = [threading.Thread(target=visitor) for _ in range(VISITORS)]
    for thread in threads:
        thread.start()
    try:
        yield waited
    finally:
        done.set()
        for thread in threads:
            thread.join()
