"""The health gate: one HTTP question, asked until it is answered well or time is up."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import UNHEALTHY, SlipwayError
from slipway.spec import Health

_PAUSE = 0.1


@dataclass(frozen=True)
class Answer:
    """What came back; `error` where nothing did."""

    status: int = 0
    reason: str = ""
    location: str = ""
    body: str = ""
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return self.error
        target = f" to {self.location}" if self.location else ""
        excerpt = f": {self.body[:200].strip()!r}" if self.body.strip() else ""
        return f"{self.status} {self.reason}{target}{excerpt}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _FrontConnection(http.client.HTTPSConnection):
    """TLS to one address under another name; the certificate is the edge's concern, not the release's."""

    def __init__(self, address: str, name: str, timeout: float) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        host, _, port = address.rpartition(":")
        super().__init__(host.strip("[]"), int(port), timeout=timeout, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


Ask = Callable[[float, Callable[[], bool]], Answer]
"""Asks once. Takes the seconds that are left, and a test whether the instance has crashed meanwhile."""


def ask_socket(path: Path, health: Health) -> Ask:
    """Ask an instance's own socket, with the headers that the web server would send."""
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
    return lambda left, crashed: _ask(_UnixConnection(path, left), health, headers, left, crashed)


def ask_front(address: str, health: Health) -> Ask:
    """Ask through the web server at `address:port`."""
    return lambda left, crashed: _ask(_FrontConnection(address, health.host, left), health, {}, left, crashed)


def _ask(
    connection: http.client.HTTPConnection,
    health: Health,
    headers: dict[str, str],
    left: float,
    crashed: Callable[[], bool],
) -> Answer:
    deadline = time.monotonic() + left
    try:
        connection.request("GET", health.path, headers={"Host": health.host, "User-Agent": "slipway-health", **headers})
        # systemd's socket accepts whether or not an app will ever answer: look at the instance while waiting.
        while not select.select([connection.sock], [], [], 0.2)[0]:
            if crashed():
                return Answer(error="no answer: the app stopped")
            if time.monotonic() > deadline:
                return Answer(error=f"no answer within {left:.0f} s")
        response = connection.getresponse()
        body = response.read(65536).decode("utf-8", "replace")
        return Answer(response.status, response.reason, response.getheader("Location", ""), body)
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=f"no answer ({type(error).__name__}: {error})")
    finally:
        connection.close()


def accepts(health: Health, answer: Answer) -> bool:
    return answer.status == health.status and health.text in answer.body


def gate(health: Health, ask: Ask, *, where: str, crashed: Callable[[], bool]) -> None:
    """Ask until the answer is the wanted one.

    Args:
        health: what to ask and what to expect.
        ask: asks once.
        where: who is asked, for the message.
        crashed: tells that the instance died, so that a crash at boot need not wait for the timeout.

    Raises:
        SlipwayError: with code UNHEALTHY: what was asked, what came back and why that is usually so.
    """
    began, pause = time.monotonic(), _PAUSE
    while True:
        answer = ask(max(health.timeout - (time.monotonic() - began), 1.0), crashed)
        if accepts(health, answer):
            return
        left = health.timeout - (time.monotonic() - began)
        dead = bool(answer.error) and crashed()
        if dead or left <= pause or 300 <= answer.status < 500:
            break
        time.sleep(pause)
        # Quick at first, since most apps boot within a second; then rarely enough not to fill the app's log.
        pause = min(pause * 1.5, 1.0)
    raise SlipwayError(
        f"Asked {where}: GET {health.path} with Host {health.host} as https, expecting {_expected(health)}; "
        f"got {answer} after {time.monotonic() - began:.1f} s.",
        hint=_hint(health, answer, dead=dead),
        code=UNHEALTHY,
    )


def _expected(health: Health) -> str:
    return f"{health.status}" + (f" with the text {health.text!r}" if health.text else "")


def _hint(health: Health, answer: Answer, *, dead: bool) -> str:
    if dead:
        return "The app stopped at boot: its output above says why."
    if 300 <= answer.status < 400:
        return (
            f"The app redirects its health check to {answer.location or 'another page'}. Answer {health.path} itself, "
            "or name another page in health.path; if it redirects to https, let it trust X-Forwarded-Proto."
        )
    if answer.status == 400:
        return f"Many apps answer 400 to a host that they do not know: does it accept {health.host}?"
    if answer.status == 404:
        return f"There is no such page: set health.path to one that answers {health.status}."
    if answer.error:
        return f"If the app only needs longer to boot, raise health.timeout (now {health.timeout:g} s)."
    return ""
