"""What visitors have sent in is handed out as it is: never run, never sniffed, and no way to anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .observed import DOMAIN

SHARED = "/srv/observer/shared"
PAGE = "<script>alert(document.domain)</script>"
# A name that an attacker may choose; each holds a page.
NAMES = ["page.html", "page.svg", "page.xml", "page.js", "page.php", "page.py", "page.png.html", "page.HTML", "page"]
TARGETS = ["/etc/passwd", "../env", f"{SHARED}/env", "/srv/observer/current/env", "..", "/"]


@pytest.fixture(scope="module", autouse=True)
def _secret(vps: Any) -> Iterator[None]:
    """A file beside the uploads that anybody on the host may read."""
    vps.run("sh", "-c", f"echo canary-beside-the-uploads >{SHARED}/env")
    yield
    vps.run("rm", f"{SHARED}/env")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_that_was_sent_in_is_no_page(vps: Any, name: str) -> None:
    assert vps.https(DOMAIN, f"/keep/{name}", "--request", "PUT", "--data-binary", PAGE).status == 201
    answer = vps.https(DOMAIN, f"/uploads/{name}")
    assert answer.status == 200
    assert answer.body == PAGE
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].split(";")[0] in {"application/octet-stream", "image/svg+xml"}
    assert answer.headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("target", TARGETS)
def test_a_link_among_them_leads_nowhere(vps: Any, target: str) -> None:
    vps.run("runuser", "-u", "observer", "--", "ln", "-sfn", target, f"{SHARED}/uploads/link")
    try:
        for path in ("/uploads/link", "/uploads/link/", "/uploads/link/env", "/uploads/link/etc/passwd"):
            answer = vps.https(DOMAIN, path)
            assert answer.status in {403, 404}
            assert "canary" not in answer.body
            assert "root:" not in answer.body
    finally:
        vps.run("rm", f"{SHARED}/uploads/link")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PROPFIND", "MKCOL"])
def test_nothing_is_written_past_the_app(vps: Any, method: str) -> None:
    assert vps.https(DOMAIN, "/uploads/page.html", "--request", method, "--data", "x").status == 405
