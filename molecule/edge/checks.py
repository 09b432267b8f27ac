"""What a visitor meets first."""

from __future__ import annotations

from conftest import Vps


def test_each_app_answers(vps: Vps) -> None:
    for domain in ("guestbook.localhost", "hello.localhost"):
        assert vps.https(domain, "/healthz").status == 200
