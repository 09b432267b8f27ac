"""What `apps` may say of HTTP: nothing that would break out of nginx's configuration, each mistake by its key."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

HASH = "$6$abcdefgh$" + "A" * 86


def app(**changes: Any) -> dict[str, Any]:
    return {"shop": {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"], **changes}}


def http(**options: Any) -> dict[str, Any]:
    return app(http=options)


def path(name: Any, **options: Any) -> dict[str, Any]:
    return http(paths={name: options or {"timeout": 5}})


# Each ends a word or a line in nginx's configuration, opens a block, or names a variable.
BREAKOUTS = ["a;b", "a{b", "a}b", "a b", "a\nb", 'a"b', "a'b", "a$host", "a\\b", "a#b", "", "\0"]

BAD = [
    *((http(max_body_size=bad), "apps.shop.http.max_body_size: must be") for bad in (
        "10mb", "-1", "1g;", "0", "1 m", "1.5m")),
    (http(max_body_size=10), "apps.shop.http.max_body_size: must be text; put it in quotes"),
    (http(body_size="1m"), "apps.shop.http.body_size: there is no such key; did you mean max_body_size?"),
    (http(timeout=0), "apps.shop.http.timeout: must be from 1"),
    (http(timeout="60s"), "apps.shop.http.timeout: must be a whole number"),
    (http(websocket="yes"), "apps.shop.http.websocket: must be true or false"),
    *((http(rate=bad), "apps.shop.http.rate: must be") for bad in ("100", "0/s", "100/h", "1r/s", "5/s;", "off")),
    (http(connections=-1), "apps.shop.http.connections: must be from 0"),
    (http(hsts={"preload": True}), "apps.shop.http.hsts.preload: needs subdomains: true"),
    (http(hsts={"preload": True, "subdomains": True, "max_age": 5}), "apps.shop.http.hsts.preload: needs"),
    (http(headers={"X A": "b"}), "apps.shop.http.headers.X A: a header's name is"),
    (http(headers={"X-A\r\nSet-Cookie": "b"}), "a header's name is"),
    (http(headers={"X-A": "b\nX-B: c"}), "apps.shop.http.headers.X-A: must be one line"),
    (http(headers={"X-A": "$host"}), "apps.shop.http.headers.X-A: must be one line"),
    (http(headers={"X-A": "a\\"}), "apps.shop.http.headers.X-A: must be one line"),
    (http(headers={"X-A": 1}), "apps.shop.http.headers.X-A: must be text; put it in quotes"),
    (http(headers={"X-A": "1", "x-a": "2"}), "apps.shop.http.headers.x-a: stands more than once"),
    (http(headers={"Strict-Transport-Security": "max-age=1"}), "about this header; see http.hsts"),
    (http(headers={"Content-Length": "1"}), "apps.shop.http.headers.Content-Length: nginx or the app decides"),
    *((path(bad), f"apps.shop.http.paths.{bad}: must be a path such as /static") for bad in (
        "/", "a", "/a/", "/a/../b", 1)),
    *((path(f"/{bad}"), "must be a path such as /static") for bad in BREAKOUTS),
    (path("/.well-known/acme-challenge"), "is a path that nginx answers itself"),
    (path("/.slipway/x"), "is a path that nginx answers itself"),
    (path("/login", rates="1/s"), "apps.shop.http.paths./login.rates: there is no such key; did you mean rate?"),
    (path("/login", burst=5), "apps.shop.http.paths./login.burst: belongs to rate"),
    (app(static={}, http={"paths": {"/static/x": {"timeout": 5}}}), "http.paths./static/x: belongs to static"),
    (app(uploads={}), "apps.shop.uploads.path: nothing there outlasts a release; add uploads to shared"),
    (app(uploads={"path": "files"}, shared=["fil"]), "apps.shop.uploads.path: nothing there"),
    (app(uploads={"path": "../x"}, shared=["x"]), "apps.shop.uploads.path: must be a path inside the source"),
    (app(uploads={"path": "a b"}, shared=["a b"]), "apps.shop.uploads.path: must be a path without blanks"),
    (app(uploads={"url": "/static"}, static={}, shared=["uploads"]), "apps.shop.uploads.url: is static.url already"),
    *((app(access={"allow": [bad]}), "apps.shop.access.allow[0]: must be an address") for bad in (
        "all", "10.0.0.0/33", "1.2.3.4;", "example.com", "10.0.0.1/8", "fe80::1%eth0", "unix:")),
    (app(access={"allow": "10.0.0.1"}), "apps.shop.access.allow: must be a list"),
    (app(access={"users": {"a:b": HASH}}), "apps.shop.access.users.a:b: a name is up to"),
    (app(access={"users": {"a\nb": HASH}}), "a name is up to"),
    (app(access={"users": {"ada": "correct horse"}}), "apps.shop.access.users.ada: must be the hash of a password"),
    (app(access={"users": {"ada": f"{HASH}\nroot:x"}}), "apps.shop.access.users.ada: must be the hash"),
    (app(access={"users": {"ada": "$apr1$abcdefgh$" + "A" * 22}}), "apps.shop.access.users.ada: must be the hash"),
    (app(nginx_snippets={"server": "a\0"}), "apps.shop.nginx_snippets.server: must be plain text"),
    (app(nginx_snippets={"location": "x"}), "apps.shop.nginx_snippets.location: there is no such key"),
]  # fmt: skip


@pytest.mark.parametrize(("apps", "message"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(apps_filter: ModuleType, apps: dict[str, Any], message: str) -> None:
    assert message in "\n".join(apps_filter.apps_problems(apps))


@pytest.mark.parametrize(
    "apps",
    [
        http(max_body_size="1g", timeout=300, buffering=False, rate="5/m", burst=0, connections=0),
        http(headers={"Permissions-Policy": 'camera=(self "https://a.example"); x={}', "X-Frame-Options": ""}),
        http(hsts={"preload": True, "subdomains": True}),
        http(paths={"/login": {"rate": "10/m"}, "/socket.io": {"websocket": True}, "/a/b.c": {}}),
        app(uploads={"path": "var/files"}, shared=["var"], access={"allow": ["10.0.0.0/8", "2001:db8::/32", "::1"]}),
        app(access={"users": {"ada@example.com": HASH, "b": "$2y$10$" + "a" * 53, "c": "$y$j9T$abcdefgh$" + "b" * 43}}),
        app(nginx_snippets={"server": 'location = /x {\n\treturn 200 "$host";\n}\n'}),
    ],
)
def test_what_is_right_passes(apps_filter: ModuleType, apps: dict[str, Any]) -> None:
    assert apps_filter.apps_problems(apps) == []


def test_a_password_is_not_repeated(apps_filter: ModuleType) -> None:
    assert "correct horse" not in "\n".join(apps_filter.apps_problems(app(access={"users": {"ada": "correct horse"}})))


def test_the_app_learns_how_large_a_body_may_be(apps_filter: ModuleType) -> None:
    def settings(**changes: Any) -> dict[str, Any]:
        complete = apps_filter.apps_complete(app(**changes))["shop"]["settings"]
        return {name: value for name, value in complete.items() if name == "MAX_CONTENT_LENGTH"}

    assert settings(http={"max_body_size": "500k"}) == {"MAX_CONTENT_LENGTH": 500 * 1024}
    larger = {"max_body_size": "1m", "paths": {"/upload": {"max_body_size": "1g"}, "/b": {"timeout": 5}}}
    assert settings(http=larger) == {"MAX_CONTENT_LENGTH": 1 << 30}
    assert settings(http=larger, settings={"MAX_CONTENT_LENGTH": 5}) == {"MAX_CONTENT_LENGTH": 5}
    assert settings() == {}


def test_hashes_go_nowhere_but_to_nginx(apps_filter: ModuleType) -> None:
    guarded = app(access={"users": {"ada": HASH}})
    assert HASH not in str(apps_filter.apps_public(guarded))
    assert apps_filter.apps_public(guarded)["shop"]["access"] == {"users": ["ada"], "allow": []}
    assert apps_filter.apps_credentials(guarded) == {"shop": {"ada": HASH}}
    assert apps_filter.apps_credentials(app()) == {}
