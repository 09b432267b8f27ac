"""Hosts, headers, sizes and methods that a client should not get its way with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .observed import DOMAIN, Observer
from .smuggling import HOST
from .spoofs import EVIL, HOSTS, METHODS, SIZES, SPOOFED, Row

TABLE = [*HOSTS, *SIZES, *METHODS]


@pytest.fixture(scope="module")
def observer(vps: Any) -> Observer:
    return Observer(vps)


@pytest.fixture(scope="module")
def statuses(observer: Observer) -> dict[str, list[int]]:
    return {row.name: [answer.status for answer in observer.client.raw(row.data(observer.run), 1)] for row in TABLE}


@pytest.fixture(scope="module")
def seen(observer: Observer, statuses: dict[str, list[int]]) -> dict[str, dict[str, Any]]:
    """What the app saw, by the name of the row; it says so before it answers."""
    assert statuses
    rows = observer.sightings()
    return {row.name: rows[row.name][0] for row in TABLE if row.name in rows}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_what_is_sent_gets_its_answer(
    row: Row, statuses: dict[str, list[int]], seen: dict[str, dict[str, Any]]
) -> None:
    assert statuses[row.name] == [row.status]
    assert (row.name in seen) == row.seen


def test_the_app_is_only_ever_told_its_own_name(vps: Any, seen: dict[str, dict[str, Any]]) -> None:
    names = {(sighting["headers"]["host"], sighting["headers"]["x-forwarded-host"]) for sighting in seen.values()}
    assert names == {(f"{DOMAIN}:{vps.https_port}",) * 2}


@pytest.fixture(scope="module", params=["HTTP/1.1", "HTTP/2"])
def told(observer: Observer, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the app saw of a client who forges whatever can be forged."""
    if request.param == "HTTP/1.1":
        lines = "\r\n".join(f"{name}: {value}" for name, value in SPOOFED.items())
        answer = observer.ask(f"GET /seen/spoofed/1 HTTP/1.1\r\n{lines}".encode())
    else:
        forged = [(name.lower().encode(), value.encode()) for name, value in SPOOFED.items()]
        usual = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", HOST), (b":path", b"/seen/spoofed/2")]
        answer = observer.client.frames([*usual, *forged])
    assert answer.status == 200
    return dict(json.loads(answer.body))


@pytest.mark.parametrize("name", SPOOFED)
def test_a_forged_header_never_reaches_the_app(told: dict[str, Any], name: str) -> None:
    headers = told["headers"]
    # Both spellings of a name are the same to an app.
    given = [value for key, value in headers.items() if key.replace("_", "-") == name.lower().replace("_", "-")]
    assert SPOOFED[name] not in given


def test_the_app_learns_the_truth_of_its_client(told: dict[str, Any], vps: Any) -> None:
    assert told["scheme"] == told["headers"]["x-forwarded-proto"] == "https"
    assert told["prefix"] == ""
    assert told["target"].startswith("/seen/spoofed/")
    assert EVIL not in told["headers"]["x-forwarded-for"]
    assert "," not in told["headers"]["x-forwarded-for"]
    assert told["headers"]["x-forwarded-host"] == told["headers"]["host"] == f"{DOMAIN}:{vps.https_port}"
    assert len(told["id"]) == 32


def test_a_redirect_goes_where_the_app_is_and_nowhere_else(vps: Any) -> None:
    forged = ["--header", f"X-Forwarded-Host: {EVIL}", "--header", "X-Original-URL: /evil"]
    answer = vps.http("www.guestbook.localhost", "//other.example.com/%2e%2e", *forged)
    assert answer.status == 308
    assert answer.headers["location"] == (f"https://guestbook.localhost:{vps.https_port}//other.example.com/%2e%2e")
    injected = vps.http("www.guestbook.localhost", "/%0d%0aSet-Cookie:%20evil=1")
    assert "set-cookie" not in injected.headers
