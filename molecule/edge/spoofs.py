"""Headers, sizes and methods that a client should not get its way with: what is sent, and what must come back."""

from __future__ import annotations

from dataclasses import dataclass

from .smuggling import HOST

EVIL = "203.0.113.9"
# What the client says, which the app must never see.
SPOOFED = {
    "X-Forwarded-For": EVIL,
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Protocol": "http",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Ssl": "off",
    "X-Forwarded-User": "evil",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": EVIL,
    "Forwarded": f"for={EVIL};host={EVIL};proto=http",
    "X-Real-IP": EVIL,
    "X-Request-ID": "evil",
    "X-Original-Host": EVIL,
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Client-IP": EVIL,
    "True-Client-IP": EVIL,
    "Front-End-Https": "off",
    "Remote-User": "evil",
    "Proxy": f"http://{EVIL}",
    "X-Script-Name": "/evil",
    "Script-Name": "/evil",
    "SCRIPT_NAME": "/evil",
    "PATH_INFO": "/evil",
    "REMOTE_ADDR": EVIL,
    "REMOTE_USER": "evil",
    "X_Forwarded_For": EVIL,
    "X_FORWARDED_PROTO": "http",
    "HTTP_HOST": EVIL,
    "Upgrade": "evil",
}


@dataclass(frozen=True)
class Row:
    """One request; `/@` stands for a path of its own, an answer of 200 is the app's."""

    name: str
    sent: bytes
    status: int
    seen: bool = False

    def data(self, run: str) -> bytes:
        return self.sent.replace(b"/@", f"/seen/{run}/{self.name}/".encode())


def get(*headers: bytes, line: bytes = b"GET /@ HTTP/1.1", host: bytes = b"Host: " + HOST, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *([host] if host else []), *headers, b"", body])


HOSTS = [
    Row("host-port", get(host=b"Host: observer.localhost:1"), 200, seen=True),
    Row("host-capitals", get(host=b"Host: OBSERVER.localhost"), 200, seen=True),
    Row("host-dot", get(host=b"Host: observer.localhost."), 200, seen=True),
    Row("host-none", get(host=b""), 400),
    Row("host-empty", get(host=b"Host:"), 400),
    Row("host-stranger", get(host=b"Host: other.example.com"), 421),
    Row("host-address", get(host=b"Host: 127.0.0.1"), 421),
    Row("host-address-6", get(host=b"Host: [::1]"), 421),
    Row("host-suffix", get(host=b"Host: observer.localhost.example.com"), 421),
    Row("host-prefix", get(host=b"Host: x.observer.localhost"), 421),
    Row("host-list", get(host=b"Host: observer.localhost, other.example.com"), 400),
    Row("host-user", get(host=b"Host: observer.localhost@other.example.com"), 421),
    Row("host-path", get(host=b"Host: observer.localhost/../x"), 400),
    Row("host-two-ports", get(host=b"Host: observer.localhost:80:443"), 200, seen=True),
    Row("host-dots", get(host=b"Host: .."), 400),
    Row("host-nul", get(host=b"Host: observer.localhost\0"), 400),
    Row("host-markup", get(host=b"Host: <script>"), 421),
]

SIZES = [
    Row("target-4k", get(line=b"GET /@" + b"a" * 4000 + b" HTTP/1.1"), 200, seen=True),
    Row("target-9k", get(line=b"GET /@" + b"a" * 9000 + b" HTTP/1.1"), 414),
    Row("header-6k", get(b"X: " + b"a" * 6000), 200, seen=True),
    Row("header-9k", get(b"X: " + b"a" * 9000), 400),
    Row("header-name-9k", get(b"X" * 9000 + b": a"), 400),
    Row("headers-40k", get(*(b"X-%d: " % number + b"a" * 5000 for number in range(8))), 400),
    Row("headers-1000", get(*(b"X-%d: a" % number for number in range(1000))), 400),
    Row("cookies-40k", get(*(b"Cookie: a=" + b"a" * 5000 for _ in range(8))), 400),
    Row("body-1m", get(b"Content-Length: 1048576", line=b"POST /@ HTTP/1.1", body=b"a" * 0x100000), 200, seen=True),
    Row("body-declared", get(b"Content-Length: 1048577", line=b"POST /@ HTTP/1.1"), 413),
    Row("body-chunked", get(b"Transfer-Encoding: chunked", line=b"POST /@ HTTP/1.1",
                            body=b"100001\r\n" + b"a" * 0x100001 + b"\r\n0\r\n\r\n"), 413),
]  # fmt: skip

METHODS = [
    Row("trace", get(line=b"TRACE /@ HTTP/1.1"), 405),
    Row("track", get(line=b"TRACK /@ HTTP/1.1"), 405),
    Row("connect", get(line=b"CONNECT /@ HTTP/1.1"), 405),
    Row("connect-host", get(line=b"CONNECT other.example.com:443 HTTP/1.1"), 400),
    Row("unknown", get(line=b"QWERTY /@ HTTP/1.1"), 405),
    # Too long for the app server.
    Row("long", get(line=b"A" * 4000 + b" /@ HTTP/1.1"), 400),
    Row("small", get(line=b"get /@ HTTP/1.1"), 400),
    Row("nul", get(line=b"GE\0T /@ HTTP/1.1"), 400),
    Row("injected", get(line=b"GET;X /@ HTTP/1.1"), 400),
    Row("asterisk", get(line=b"OPTIONS * HTTP/1.1"), 400),
    Row("no-target", get(line=b"GET HTTP/1.1"), 400),
    Row("garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    Row("static-post", get(b"Content-Length: 0", line=b"POST /static/site.css HTTP/1.1"), 405),
    Row("static-put", get(b"Content-Length: 0", line=b"PUT /static/evil.html HTTP/1.1"), 405),
    Row("static-delete", get(line=b"DELETE /static/site.css HTTP/1.1"), 405),
    Row("static-trace", get(line=b"TRACE /static/site.css HTTP/1.1"), 405),
    Row("propfind", get(line=b"PROPFIND /@ HTTP/1.1"), 200, seen=True),
    Row("override", get(b"X-HTTP-Method-Override: DELETE", line=b"POST /@ HTTP/1.1"), 200, seen=True),
]
