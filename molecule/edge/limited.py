"""An ACME authority that makes accounts and then finds that there have been too many certificates."""

from __future__ import annotations

import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 14002
HERE = f"https://localhost:{PORT}"
LIMIT = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many certificates (5) already issued for this exact set of domains, retry after 2026-12-01",
    "status": 429,
}


class Authority(BaseHTTPRequestHandler):
    """Each answer in full, with the nonce that the next question needs."""

    def do_HEAD(self) -> None:
        self._answer(200, None)

    def do_GET(self) -> None:
        places = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order", "revokeCert": "revoke"}
        self._answer(200, {name: f"{HERE}/{path}" for name, path in places.items()})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/order":
            self._answer(429, LIMIT)
        else:
            self._answer(201 if self.path == "/account" else 200, {"status": "valid", "contact": []})

    def _answer(self, status: int, body: dict[str, Any] | None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Replay-Nonce", "bm9uY2U")
        self.send_header("Location", f"{HERE}/account/1")
        self.send_header("Retry-After", "3600")
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/etc/pebble/certificate.pem", "/etc/pebble/key.pem")
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
