"""Forwarded headers count exactly as far as there are proxies that set them."""

from collections.abc import Callable

import pytest
from flask import Flask, request

SPOOFED = {
    "X-Forwarded-For": "203.0.113.66, 198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example.com",
    "X-Forwarded-Prefix": "/evil",
}


@pytest.mark.parametrize(
    ("hops", "seen"),
    [
        (0, "127.0.0.1 http localhost /who"),
        # The visitor claims .66; the proxy saw and appended .7, and only that counts.
        (1, "198.51.100.7 https localhost /who"),
    ],
)
def test_hops(make_app: Callable[..., Flask], hops: int, seen: str) -> None:
    app = make_app(TRUSTED_PROXIES=hops)

    @app.get("/who")
    def who() -> str:
        return f"{request.remote_addr} {request.scheme} {request.host} {request.script_root}{request.path}"

    assert app.test_client().get("/who", headers=SPOOFED).text == seen


def test_production_trusts_one_and_development_none(make_app: Callable[..., Flask]) -> None:
    assert make_app("production").config["TRUSTED_PROXIES"] == 1
    assert make_app("development").config["TRUSTED_PROXIES"] == 0
