"""What a visitor meets first."""

from __future__ import annotations

from typing import Any


def test_each_app_answers(vps: Any) -> None:
    for domain in ("guestbook.localhost", "hello.localhost"):
        assert vps.https(domain, "/healthz").status == 200
