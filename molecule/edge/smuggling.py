"""Requests that two servers might cut at different places: what is sent, and what must come back.

`/@` stands for a path of the case's own. `seen` lists what the app has to see of it, as `METHOD path length`, in any
order; an answer that is not in `statuses`, one more or one fewer, and a sighting more or fewer are a failure each.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = b"observer.localhost"
# What a smuggled request would be taken for.
INNER = b"GET /@inner HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"
REFUSED = (400,)
UNKNOWN = (501,)


@dataclass(frozen=True)
class Case:
    """One connection.

    Args:
        name: of the case; part of the paths that it asks for.
        sent: the bytes.
        statuses: of the answers, in order.
        seen: what the app saw of it.
    """

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    seen: tuple[str, ...] = ()

    def data(self, run: str) -> bytes:
        return self.sent.replace(b"/@", f"/seen/{run}/{self.name}/".encode())


@dataclass(frozen=True)
class Frames:
    """One request over HTTP/2.

    Args:
        name: of the case; part of its path.
        fields: come after the four that every request has, or replace those of their name.
        statuses: any of them is a right answer.
        seen: what the app saw of it.
        body: that follows in a frame of its own.
    """

    name: str
    fields: tuple[tuple[bytes, bytes], ...]
    statuses: tuple[int, ...]
    seen: tuple[str, ...] = ()
    body: bytes = b""

    def block(self, run: str) -> list[tuple[bytes, bytes]]:
        at = f"/seen/{run}/{self.name}/".encode()
        given = {name for name, _ in self.fields}
        usual = {b":method": b"POST", b":scheme": b"https", b":authority": HOST, b":path": b"/@outer"}
        fields = [(name, value) for name, value in usual.items() if name not in given]
        return [(name, value.replace(b"/@", at)) for name, value in [*fields, *self.fields] if value != LEFT_OUT]


LEFT_OUT = b"left out"


def post(*headers: bytes, body: bytes = b"", line: bytes = b"POST /@outer HTTP/1.1") -> bytes:
    """A request to the app with these headers and nothing else."""
    return b"\r\n".join([line, b"Host: " + HOST, *headers, b"", body])


def _chunks(*chunks: bytes) -> bytes:
    """A chunked body, whole."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


CHUNKED = b"Transfer-Encoding: chunked"
EMPTY = _chunks()

CASES = [
    # Both lengths: whichever a server believes, another may believe the other.
    Case("clte", post(b"Content-Length: 4", CHUNKED, body=EMPTY + INNER), REFUSED),
    Case("tecl", post(CHUNKED, b"Content-Length: 4", body=_chunks(INNER)), REFUSED),
    Case("clte-equal", post(b"Content-Length: 5", CHUNKED, body=EMPTY), REFUSED),
    Case("clte-http-1-0", post(b"Content-Length: 5", CHUNKED, body=EMPTY, line=b"POST /@outer HTTP/1.0"), REFUSED),
    Case("te-http-1-0", post(CHUNKED, body=EMPTY + INNER, line=b"POST /@outer HTTP/1.0"), REFUSED),
    # Transfer encodings that one server knows and another does not.
    Case("te-blank-before-colon", post(b"Transfer-Encoding : chunked", body=EMPTY + INNER), REFUSED),
    Case("te-vertical-tab", post(b"Transfer-Encoding: \x0bchunked", body=EMPTY + INNER), UNKNOWN),
    Case("te-tab", post(b"Transfer-Encoding:\tchunked", body=EMPTY + INNER), UNKNOWN),
    Case("te-unknown", post(b"Transfer-Encoding: xchunked", body=EMPTY + INNER), UNKNOWN),
    Case("te-identity", post(b"Transfer-Encoding: identity", b"Content-Length: 0", body=INNER), UNKNOWN),
    Case("te-list", post(b"Transfer-Encoding: gzip, chunked", body=EMPTY + INNER), UNKNOWN),
    Case("te-comma-first", post(b"Transfer-Encoding: , chunked", body=EMPTY + INNER), UNKNOWN),
    Case("te-quoted", post(b'Transfer-Encoding: "chunked"', body=EMPTY + INNER), UNKNOWN),
    Case("te-parameter", post(b"Transfer-Encoding: chunked;q=1", body=EMPTY + INNER), UNKNOWN),
    Case("te-empty", post(b"Transfer-Encoding:", b"Content-Length: 0", body=INNER), UNKNOWN),
    Case("te-twice", post(CHUNKED, CHUNKED, body=EMPTY + INNER), REFUSED),
    Case("te-twice-unlike", post(CHUNKED, b"Transfer-Encoding: identity", body=EMPTY + INNER), REFUSED),
    Case("te-folded", post(b"X: y", b" Transfer-Encoding: chunked", body=EMPTY + INNER), REFUSED),
    Case("te-folded-value", post(b"Transfer-Encoding:", b" chunked", body=EMPTY + INNER), REFUSED),
    Case("te-after-bare-cr", post(b"X: y\rTransfer-Encoding: chunked", body=EMPTY + INNER), REFUSED),
    Case("te-no-colon", post(b"Transfer-Encoding chunked", body=EMPTY + INNER), REFUSED),
    Case("te-nul", post(b"Transfer-Encoding\0: chunked", body=EMPTY + INNER), REFUSED),
    # Not a header that anybody knows: what follows is the next request, and no valid one.
    Case("te-underscore", post(b"Transfer_Encoding: chunked", body=EMPTY + INNER), (200, 400), ("POST outer 0",)),
    Case("te-capitals", post(b"TRANSFER-ENCODING: CHUNKED", body=_chunks(b"hello")), (200,), ("POST outer 5",)),
    # Chunks.
    Case("chunk-extension", post(CHUNKED, body=b"5;a=b\r\nhello\r\n" + EMPTY), (200,), ("POST outer 5",)),
    Case("chunk-extension-lf", post(CHUNKED, body=b"5;a\nhello\r\n0\r\n\r\n"), (200,), ("POST outer 5",)),
    Case("chunk-size-hex", post(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n" + INNER), REFUSED),
    Case("chunk-size-sign", post(CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n" + INNER), REFUSED),
    Case("chunk-size-negative", post(CHUNKED, body=b"-1\r\nhello\r\n0\r\n\r\n" + INNER), REFUSED),
    Case("chunk-size-overflow", post(CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n" + INNER), REFUSED),
    Case("chunk-too-short", post(CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n" + INNER), REFUSED),
    Case("chunk-unended", post(CHUNKED, body=b"5\r\nhello\r\n"), ()),
    Case("chunk-trailer", post(CHUNKED, body=b"0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"), (200,), ("POST outer 0",)),
    Case("chunk-then-next", post(CHUNKED, body=EMPTY + INNER), (200, 200), ("POST outer 0", "GET inner 0")),
    # Lengths.
    Case("cl-twice", post(b"Content-Length: 0", b"Content-Length: 0", body=INNER), REFUSED),
    Case("cl-twice-unlike", post(b"Content-Length: 0", b"Content-Length: 5", body=INNER), REFUSED),
    Case("cl-list", post(b"Content-Length: 0, 0", body=INNER), REFUSED),
    Case("cl-sign", post(b"Content-Length: +0", body=INNER), REFUSED),
    Case("cl-negative", post(b"Content-Length: -1", body=INNER), REFUSED),
    Case("cl-hex", post(b"Content-Length: 0x5", body=INNER), REFUSED),
    Case("cl-empty", post(b"Content-Length:", body=INNER), REFUSED),
    Case("cl-huge", post(b"Content-Length: 99999999999999999999", body=INNER), REFUSED),
    Case("cl-blank-before-colon", post(b"Content-Length : 0", body=INNER), REFUSED),
    Case("cl-underscore", post(b"Content_Length: 46", body=INNER), (200, 200), ("POST outer 0", "GET inner 0")),
    Case("cl-of-get", post(b"Content-Length: 3", body=b"abc" + INNER, line=b"GET /@outer HTTP/1.1"), (200, 200),
         ("GET outer 3", "GET inner 0")),
    # Ends of lines, and lines.
    Case("lf-only", post(b"Content-Length: 0").replace(b"\r\n", b"\n"), (200,), ("POST outer 0",)),
    Case("lf-in-header", post(b"X: y\nContent-Length: 5", body=b"hello"), (200,), ("POST outer 5",)),
    Case("cr-only", post(b"Content-Length: 0").replace(b"\r\n", b"\r"), REFUSED),
    Case("blank-in-target", post(line=b"GET /@outer HTTP/1.1\tX HTTP/1.1"), REFUSED),
    Case("version-2-0", post(line=b"GET /@outer HTTP/2.0"), (505,)),
    Case("http-2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER, REFUSED),
    # Who is asked.
    Case("host-twice", post(b"Host: other.example.com"), REFUSED),
    Case("absolute-target", post(line=b"GET http://observer.localhost/@outer HTTP/1.1"), (200,), ("GET outer 0",)),
    Case("absolute-stranger", post(line=b"GET http://other.example.com/@outer HTTP/1.1"), (421,)),
    # Headers that speak of the connection belong to it: nginx makes its own.
    Case("hop-by-hop", post(b"Connection: close, Host, X-Request-ID, X-Forwarded-For", b"Keep-Alive: 9", b"TE: x"),
         (200,), ("POST outer 0",)),
    Case("upgrade-h2c", post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk",
                             b"Content-Length: 0", body=INNER), (200, 200), ("POST outer 0", "GET inner 0")),
    Case("expect", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), (200,), ("POST outer 5",)),
]  # fmt: skip

# nginx 1.22 resets the stream, 1.26 answers.
MALFORMED = (0, 400)

FRAMES = [
    Frames("h2-plain", (), (200,), ("POST outer 5",), b"hello"),
    # Frames alone say how long a body is, and nginx passes a length of its own on.
    Frames("h2-te", ((b"transfer-encoding", b"chunked"),), (200,), ("POST outer 55",), EMPTY + INNER[:50]),
    Frames("h2-te-no-body", ((b"transfer-encoding", b"chunked"),), (200,), ("POST outer 0",)),
    Frames("h2-connection", ((b"connection", b"x-request-id"), (b"upgrade", b"h2c")), (200,), ("POST outer 0",)),
    Frames("h2-cl-short", ((b"content-length", b"0"),), (400,), (), INNER),
    Frames("h2-cl-long", ((b"content-length", b"500"),), (400,), (), INNER),
    Frames("h2-cl-twice", ((b"content-length", b"5"), (b"content-length", b"0")), (400,), (), b"hello"),
    Frames("h2-two-hosts", ((b"host", b"other.example.com"),), (400,)),
    Frames("h2-stranger", ((b":authority", b"other.example.com"),), (421,)),
    Frames("h2-no-path", ((b":path", LEFT_OUT),), (400,)),
    Frames("h2-path-twice", ((b":path", b"/@outer"), (b":path", b"/@inner")), (400,)),
    Frames("h2-scheme", ((b":scheme", b"https://other.example.com/"),), (400,)),
    Frames("h2-crlf-in-value", ((b"x", b"y\r\nTransfer-Encoding: chunked"),), MALFORMED, (), EMPTY + INNER),
    Frames("h2-lf-in-value", ((b"x", b"y\n\n" + INNER),), MALFORMED),
    Frames("h2-nul-in-value", ((b"x", b"y\0z"),), MALFORMED),
    Frames("h2-crlf-in-name", ((b"x\r\ntransfer-encoding: chunked\r\ny", b"z"),), MALFORMED),
    Frames("h2-colon-in-name", ((b"transfer-encoding: chunked", b""),), MALFORMED),
    Frames("h2-capitals", ((b"Content-Length", b"0"),), MALFORMED, (), INNER),
    Frames("h2-line-in-method", ((b":method", b"GET /@inner HTTP/1.1\r\nX:"),), MALFORMED),
    Frames("h2-blank-in-path", ((b":path", b"/@outer HTTP/1.1\r\nX: y"),), MALFORMED),
]
