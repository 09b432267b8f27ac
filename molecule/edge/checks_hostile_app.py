"""The reference app under requests that nobody writes by accident: it says no, and never breaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .client import Client

BOOK = "guestbook.localhost"
FORM = b"Content-Type: application/x-www-form-urlencoded"
PARTS = b"Content-Type: multipart/form-data; boundary=b"
# What is sent after the request line, its body, what comes back.
ROWS: dict[str, tuple[bytes, list[bytes], bytes, int]] = {
    "path-no-utf-8": (b"GET /%ff%fe", [], b"", 404),
    "path-control": (b"GET /%01%7f", [], b"", 404),
    "path-long": (b"GET /" + b"a/" * 2000, [], b"", 404),
    "query-no-utf-8": (b"GET /?page=%ff", [], b"", 404),
    "query-huge-number": (b"GET /?page=" + b"9" * 30, [], b"", 404),
    "query-markup": (b"GET /?page=<script>", [], b"", 404),
    "range-absurd": (b"GET /", [b"Range: bytes=" + b"0-1," * 500 + b"5-2"], b"", 200),
    "cookie-forged": (b"GET /", [b"Cookie: session=" + b"." * 2000], b"", 200),
    "cookie-no-utf-8": (b"GET /", [b"Cookie: session=\xff\xfe; \x80=\x81"], b"", 200),
    "accept-absurd": (b"GET /nowhere", [b"Accept: " + b"*/*;q=x," * 500], b"", 404),
    "date-absurd": (b"GET /", [b"If-Modified-Since: the day after tomorrow"], b"", 200),
    "form-no-token": (b"POST /", [FORM], b"name=a&message=b", 400),
    "form-no-utf-8": (b"POST /", [FORM], b"csrf_token=%ff&name=%00&message=%ff", 400),
    "form-10000-fields": (b"POST /", [FORM], b"&".join(b"a%d=b" % number for number in range(10_000)), 400),
    "form-no-type": (b"POST /", [], b"\0" * 1000, 400),
    "parts-none": (b"POST /", [PARTS], b"", 400),
    "parts-unended": (b"POST /", [PARTS], b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n', 400),
    "parts-2000": (b"POST /", [PARTS], b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 2000, 413),
    "json-not-asked-for": (b"POST /", [b"Content-Type: application/json"], b"[" * 1000, 400),
    "method-unknown": (b"DELETE /", [], b"", 405),
    "method-trace": (b"TRACE /", [], b"", 405),
}


@pytest.fixture(scope="module")
def client(vps: Any) -> Client:
    return Client(vps.address, vps.https_port, BOOK, vps.authority)


@pytest.fixture(scope="module", autouse=True)
def began(vps: Any) -> str:
    """The host's clock before anything is sent."""
    return str(vps.run("date", "+%s"))


@pytest.mark.parametrize("name", ROWS)
def test_nothing_that_is_sent_breaks_the_app(client: Client, name: str) -> None:
    line, headers, body, status = ROWS[name]
    length = [b"Content-Length: %d" % len(body)] if body or line.startswith(b"POST") else []
    data = b"\r\n".join([line + b" HTTP/1.1", b"Host: " + BOOK.encode(), *headers, *length, b"", body])
    answers = client.raw(data, 1)
    assert [answer.status for answer in answers] == [status]
    assert b"Traceback" not in answers[0].body


def test_the_app_still_answers_and_has_logged_no_exception(vps: Any, began: str) -> None:
    assert vps.https(BOOK).status == 200
    assert "Traceback" not in vps.run("journalctl", "-o", "cat", "-u", "guestbook@*", f"--since=@{began}")


@pytest.mark.parametrize(
    ("size", "said"),
    # The app itself takes less than nginx does.
    [(2 * 1024 * 1024, "That is more than this site takes at once"), (11 * 1024 * 1024, "That is too much at once")],
    ids=["by the app", "by nginx"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_too_large_an_upload_is_refused_with_a_page(
    vps: Any, tmp_path: Path, size: int, said: str, chunked: bool
) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"name=" + b"a" * size)
    options = ["--header", "Expect:", "--data-binary", f"@{upload}"]
    if chunked:
        options += ["--header", "Transfer-Encoding: chunked"]
    for version in ("--http1.1", "--http2") if not chunked else ("--http1.1",):
        answer = vps.https(BOOK, "/", version, *options)
        assert answer.status == 413, answer.error
        assert said in re.sub(r"\s+", " ", answer.body)
        assert "strict-transport-security" in answer.headers
