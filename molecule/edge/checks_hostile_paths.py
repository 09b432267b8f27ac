"""Ways out of the directories that nginx serves: none leads anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .observed import Observer
from .paths import APP, PATHS

PREFIXES = ["/static", "/uploads"]
# Of env, src/observer.py, /etc/passwd and root's .bashrc.
SECRETS = [b"canary", b"flask import", b"root:x:", b"umask"]


@pytest.fixture(scope="module")
def observer(vps: Any) -> Observer:
    # `env` stands beside the static files already.
    vps.run("sh", "-c", "echo canary-beside-the-uploads >/srv/observer/shared/env")
    return Observer(vps)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_outside_is_served(observer: Observer, prefix: str, path: str) -> None:
    answer = observer.ask(f"GET {prefix}{path} HTTP/1.1".encode())
    assert answer.status == PATHS[path]
    if answer.status == APP:
        # As it was sent, and no file.
        assert json.loads(answer.body)["target"] == f"{prefix}{path}"
    assert not [secret for secret in SECRETS if secret in answer.body.lower()]


def test_what_is_inside_is_served(observer: Observer) -> None:
    for path in ("/static/site.css", "/static/js/../site.css", "/static//site.css", "/static/%73ite.css"):
        assert observer.ask(f"GET {path} HTTP/1.1".encode()).status == 200
