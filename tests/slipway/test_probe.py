"""The health gate against a real HTTP server on a real Unix socket."""

from __future__ import annotations

import http.server
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from slipway import probe
from slipway.errors import UNHEALTHY, SlipwayError
from slipway.spec import Health

Serve = Callable[[int, str, dict[str, str]], Path]


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    requests: ClassVar[list[dict[str, str]]] = []

    def get_request(self) -> tuple[object, tuple[str, int]]:  # type: ignore[override]
        return super().get_request()[0], ("unix", 0)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers = []

    def start(status: int, body: str, headers: dict[str, str]) -> Path:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                UnixServer.requests.append(
                    {"path": self.path, **{key.lower(): value for key, value in self.headers.items()}}
                )
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_args: object) -> None:
                pass

        path = tmp_path / "app.sock"
        server = UnixServer(str(path), Handler)
        UnixServer.requests.clear()
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return path

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def gate(path: Path, health: Health, crashed: Callable[[], bool] = lambda: False) -> None:
    probe.gate(health, probe.ask_socket(path, health), where="the new instance", crashed=crashed)


def test_it_asks_as_the_web_server_would(serve: Serve) -> None:
    gate(serve(200, "ok", {}), Health("shop.example.com", "/healthz", text="ok"))
    (request,) = UnixServer.requests
    assert request["path"] == "/healthz"
    assert request["host"] == "shop.example.com"
    assert request["x-forwarded-proto"] == "https"


@pytest.mark.parametrize(
    ("status", "headers", "health", "hint"),
    [
        (301, {"Location": "https://shop.example.com/"}, {}, "redirects its health check to https://shop.example.com/"),
        (400, {}, {}, "does it accept shop.example.com?"),
        (404, {}, {"path": "/nope"}, "There is no such page"),
        (500, {}, {"timeout": 0.3}, "got 500"),
        (200, {}, {"text": "all is well", "timeout": 0.3}, "with the text 'all is well'"),
    ],
)
def test_a_bad_answer_says_what_was_asked_and_what_came_back(
    serve: Serve, status: int, headers: dict[str, str], health: dict[str, object], hint: str
) -> None:
    path = serve(status, "something", headers)
    with pytest.raises(SlipwayError) as caught:
        gate(path, Health("shop.example.com", **health))  # type: ignore[arg-type]
    assert f"got {status}" in str(caught.value)
    assert hint in str(caught.value)
    assert caught.value.code == UNHEALTHY


def test_no_socket_at_all(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="no answer"):
        gate(tmp_path / "nobody.sock", Health("shop.example.com", timeout=0.3))


def test_it_does_not_ask_again_when_time_is_up() -> None:
    def ask(left: float, _crashed: Callable[[], bool]) -> probe.Answer:
        time.sleep(left)
        return probe.Answer(error=f"no answer within {left:.0f} s")

    with pytest.raises(SlipwayError, match=r"got no answer within 2 s after 2\.\d s"):
        probe.gate(Health("shop.example.com", timeout=2), ask, where="the new instance", crashed=lambda: False)


def test_a_crash_ends_the_wait(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="The app stopped at boot"):
        gate(tmp_path / "nobody.sock", Health("shop.example.com", timeout=600), crashed=lambda: True)
