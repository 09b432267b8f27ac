"""Whether an authority would find the host: by real sockets, with a DNS and a web server of the test's own."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from challenge import PATH, Question, problem
from resolver import UnresolvedError, addresses

TOKEN = "slipway-token"
A, AAAA, CNAME = 1, 28, 5


class Web(BaseHTTPRequestHandler):
    """Shows the token to its own domain, redirects one, and knows nothing of the others."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        body = TOKEN.encode() if host == "here.example.com" and self.path == PATH + TOKEN else b"something else"
        self.send_response(308 if host == "cdn.example.com" else 200)
        self.send_header("Location", "https://cdn.example.com/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Names(socketserver.StreamRequestHandler):
    """A DNS that answers as `ANSWERS` says: addresses, or the number of an error."""

    ANSWERS: dict[str, list[str] | int] = {  # noqa: RUF012 - a constant
        "here.example.com": ["127.0.0.1"],
        "cdn.example.com": ["127.0.0.1"],
        "both.example.com": ["127.0.0.1", "127.0.0.2"],
        "v6.example.com": ["2001:db8::1"],
        "broken.example.com": 2,
        "gone.example.com": 3,
        "empty.example.com": [],
    }

    def handle(self) -> None:
        (length,) = struct.unpack(">H", self.rfile.read(2))
        query = self.rfile.read(length)
        labels, place = [], 12
        while query[place]:
            labels.append(query[place + 1 : place + 1 + query[place]].decode())
            place += query[place] + 1
        (kind,) = struct.unpack_from(">H", query, place + 1)
        answer = self.ANSWERS[".".join(labels)]
        wanted = [] if isinstance(answer, int) else [text for text in answer if (":" in text) == (kind == AAAA)]
        alias = struct.pack(">3HIH", 0xC00C, CNAME, 1, 60, 2) + struct.pack(">H", 0xC00C)
        records = alias + b"".join(self._record(text, kind) for text in wanted)
        code = answer if isinstance(answer, int) else 0
        head = query[:2] + struct.pack(">5H", 0x8180 | code, 1, len(wanted) + 1, 0, 0)
        message = head + query[12 : place + 5] + records
        self.wfile.write(struct.pack(">H", len(message)) + message)

    def _record(self, text: str, kind: int) -> bytes:
        family = socket.AF_INET if kind == A else socket.AF_INET6
        data = socket.inet_pton(family, text)
        return struct.pack(">3HIH", 0xC00C, kind, 1, 60, len(data)) + data


@pytest.fixture(scope="module")
def question() -> Iterator[Question]:
    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    names = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Names)
    names.daemon_threads = True
    for server in (web, names):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield Question("198.51.100.7", TOKEN, web.server_address[1], f"127.0.0.1:{names.server_address[1]}", 5)
    for server in (web, names):
        server.shutdown()
        server.server_close()


def test_a_domain_that_leads_here_passes(question: Question) -> None:
    assert problem("here.example.com", question) == ""


def test_every_address_has_to_lead_here(question: Question) -> None:
    told = problem("both.example.com", question)
    assert told.startswith("both.example.com resolves to 127.0.0.1, 127.0.0.2; ")
    assert f"127.0.0.2 does not answer on port {question.port}" in told
    assert "If that is not 198.51.100.7, change its A record; if it is, let port 80 through." in told


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        (
            "cdn.example.com",
            "127.0.0.1 answers 308 (to https://cdn.example.com/) where this host's",
        ),
        ("gone.example.com", "gone.example.com has no address in DNS. Give it an A record for 198.51.100.7."),
        ("empty.example.com", "empty.example.com has no address in DNS."),
        ("broken.example.com", "with DNS error 2"),
    ],
)
def test_what_is_in_the_way_is_said(question: Question, domain: str, told: str) -> None:
    assert told in problem(domain, question)


def test_an_address_that_cannot_be_reached_from_here_is_no_proof(
    question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.create_connection

    def without_ipv6(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        if ":" in address[0]:
            raise OSError(101, "Network is unreachable")
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", without_ipv6)
    assert "which this machine has no route to" in problem("v6.example.com", question)


def test_a_resolver_that_does_not_answer_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnresolvedError, match=f"cannot be looked up at {server}"):
            addresses("here.example.com", server, 5)


def test_without_a_resolver_the_machine_s_own_is_asked() -> None:
    assert "127.0.0.1" in addresses("localhost", "", 5)
    with pytest.raises(UnresolvedError, match="does not resolve"):
        addresses("nowhere.invalid", "", 5)
