"""What nginx does with requests for an app, and what it adds to every answer."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from molecule.shared.waiting import until

SHOP = "shop.localhost"
HASHED = "/static/shop.69f33063.css"
BROWSERS = ["--header", "Accept-Encoding: gzip, br"]
ADA = ["--user", "ada:correct horse"]

# What every answer of the shop claims; X-Permitted-Cross-Domain-Policies is taken away there.
CLAIMED = {
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-frame-options": "SAMEORIGIN",
}
POLICY = "default-src 'self'; report-to \"here\""
# Each answer by what has to be sent for it; the policy is the app's, but for pages of nginx's own and for uploads.
ANSWERS: list[tuple[int, str, str, list[str]]] = [
    (200, SHOP, "/headers", []),
    (200, SHOP, "/static/shop.css", []),
    (200, SHOP, HASHED, []),
    (304, SHOP, HASHED, ["--header", "If-None-Match: *"]),
    (206, SHOP, HASHED, ["--range", "0-9"]),
    (308, "www.shop.localhost", "/a?b", []),
    (404, SHOP, "/nothing-there", []),
    (404, SHOP, "/static/nothing-there.css", []),
    (404, SHOP, "/static/nothing.0123456789.css", []),
    (405, SHOP, "/static/shop.css", ["--request", "POST"]),
    (413, SHOP, "/body", ["--data-binary", "x" * 70_000]),
    (400, SHOP, "/%", []),
    (414, SHOP, "/" + "x" * 9000, []),
    (416, SHOP, HASHED, ["--range", "999999-"]),
    (504, SHOP, "/slow?seconds=4", []),
    (404, SHOP, "/files/nothing", []),
]


@pytest.fixture(scope="module", autouse=True)
def files(vps: Any) -> None:
    for name in ("page.html", "logo.svg", "photo.png", "run.php", "notes.txt"):
        assert vps.https(SHOP, f"/keep/{name}", "--request", "PUT", "--data-binary", "<b>hi</b>").status == 201


@pytest.mark.parametrize(("status", "domain", "path", "sent"), ANSWERS, ids=lambda value: str(value)[:40])
def test_what_is_claimed_is_there_whatever_the_answer(
    vps: Any, status: int, domain: str, path: str, sent: list[str]
) -> None:
    answer = vps.https(domain, path, *sent)
    assert answer.status == status, answer.error
    for name, value in CLAIMED.items():
        assert answer.headers.get(name) == value, name
    assert "x-permitted-cross-domain-policies" not in answer.headers
    assert answer.headers["content-security-policy"]
    assert answer.headers["server"] == "nginx"


def test_what_is_claimed_is_there_over_plain_http_too_but_for_hsts(vps: Any) -> None:
    answer = vps.http(SHOP, "/a?b=c")
    assert answer.status == 308
    assert answer.headers["location"] == f"https://{SHOP}:{vps.https_port}/a?b=c"
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert vps.http("www.shop.localhost").headers["location"] == f"https://{SHOP}:{vps.https_port}/"


def test_each_header_comes_once_and_the_app_s_own_word_first(vps: Any) -> None:
    answer = vps.https(SHOP, "/own")
    assert (answer.headers["x-frame-options"], answer.headers["referrer-policy"]) == ("DENY", "no-referrer")
    assert answer.headers["cache-control"] == "no-store"
    told = vps.https(SHOP, "/own", "--output", "/dev/null", "--write-out", "\r\n\r\n%{header_json}").body
    assert len(json.loads(told[told.index("{") :])["x-frame-options"]) == 1
    assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("domain", ["hello.localhost", "guestbook.localhost"])
def test_hsts_spares_subdomains_unless_told_otherwise(vps: Any, domain: str) -> None:
    assert vps.https(domain).headers["strict-transport-security"] == "max-age=63072000"


def test_http_2_and_3_where_nginx_has_them(vps: Any) -> None:
    debian = vps.run("sh", "-c", ". /etc/os-release; echo $VERSION_ID")
    versions = subprocess.run(
        ["curl", "-sko", "/dev/null", "-w", "%{http_version}", "--resolve", f"{SHOP}:{vps.https_port}:{vps.address}",
         f"https://{SHOP}:{vps.https_port}/"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert versions.stdout == "2"
    listening = vps.run("ss", "-Hlun", "sport = :443")
    announced = vps.https(SHOP).headers.get("alt-svc")
    if debian == "12":
        assert (listening, announced) == ("", None)
    else:
        assert listening
        assert announced == f'h3=":{vps.https_port}"; ma=86400'


def test_static_files_are_pressed_at_build(vps: Any) -> None:
    for coding, suffix in (("br", ".br"), ("gzip", ".gz")):
        answer = vps.https(SHOP, HASHED, "--header", f"Accept-Encoding: {coding}")
        assert answer.headers["content-encoding"] == coding
        assert answer.headers["content-type"] == "text/css"
        assert answer.headers["vary"] == "Accept-Encoding"
        size = vps.run("stat", "-c", "%s", f"/srv/shop/current/static{HASHED.removeprefix('/static')}{suffix}")
        assert answer.headers["content-length"] == size
    assert "content-encoding" not in vps.https(SHOP, HASHED).headers
    assert vps.https(SHOP, "/static/pixel.png", *BROWSERS).headers["content-type"] == "image/png"


def test_what_may_be_kept_and_for_how_long(vps: Any) -> None:
    assert vps.https(SHOP, HASHED).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert vps.https(SHOP, "/static/shop.css").headers["cache-control"] == "public, max-age=300"
    assert vps.https(SHOP, "/static/nothing.0123456789.css").headers["cache-control"] == "no-store"
    assert "cache-control" not in vps.https(SHOP, HASHED, "--request", "POST").headers or (
        vps.https(SHOP, HASHED, "--request", "POST").headers["cache-control"] == "no-store"
    )
    assert vps.https("private.localhost", HASHED, *ADA).headers["cache-control"].startswith("private, ")


def test_ranges_and_etags(vps: Any) -> None:
    part = vps.https(SHOP, HASHED, "--range", "0-6")
    assert (part.status, part.body) == (206, ".rule-0")
    tag = vps.https(SHOP, HASHED).headers["etag"]
    assert vps.https(SHOP, HASHED, "--header", f"If-None-Match: {tag}").status == 304
    assert vps.https("private.localhost", HASHED, *ADA).headers["etag"] == tag, "the same file in another release"


@pytest.mark.parametrize("path", ["/static/", "/static/js", "/static/js/"])
def test_directories_are_not_listed(vps: Any, path: str) -> None:
    assert vps.https(SHOP, path).status in {301, 404}


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("photo.png", "image/png", True),
        ("notes.txt", "text/plain", True),
        ("logo.svg", "image/svg+xml", False),
        ("page.html", "application/octet-stream", False),
        ("run.php", "application/octet-stream", False),
    ],
)
def test_uploads_are_never_taken_for_a_page(vps: Any, name: str, kind: str, shown: bool) -> None:
    answer = vps.https(SHOP, f"/files/{name}")
    assert (answer.status, answer.body) == (200, "<b>hi</b>")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-disposition") == (None if shown else "attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_links_among_uploads_lead_nowhere(vps: Any) -> None:
    folder = "/srv/shop/shared/uploads"
    for target in ("/etc/passwd", "/srv/shop/current/settings.json", f"{folder}/notes.txt"):
        vps.run("runuser", "-u", "shop", "--", "ln", "-sf", target, f"{folder}/link.txt")
        assert vps.https(SHOP, "/files/link.txt").status in {403, 404}
    vps.run("rm", f"{folder}/link.txt")


def test_a_body_may_be_as_large_as_was_said_and_the_app_knows(vps: Any) -> None:
    small, large = ["--data-binary", "x" * 60_000], ["--data-binary", "x" * 120_000]
    assert json.loads(vps.https(SHOP, "/body", *small).body) == {"length": 60_000, "limit": 1 << 20}
    refused = vps.https(SHOP, "/body", *large)
    assert refused.status == 413
    assert "too much at once" in refused.body
    assert json.loads(vps.https(SHOP, "/import/body", *large).body)["length"] == 120_000


def test_the_app_is_waited_for_as_long_as_was_said(vps: Any) -> None:
    late = vps.https(SHOP, "/slow?seconds=4")
    assert late.status == 504
    assert "taking too long" in late.body


def test_events_come_as_they_happen(vps: Any) -> None:
    command = ["curl", "-skN", "--max-time", "20", "--resolve", f"{SHOP}:{vps.https_port}:{vps.address}",
               f"https://{SHOP}:{vps.https_port}/events"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE) as stream:
        assert stream.stdout
        assert stream.stdout.readline() == b"data: first\n"
        assert vps.https(SHOP, "/go", "--request", "POST").status == 200
        assert b"data: second\n" in stream.stdout.read()


WEBSOCKET = ["--http1.1", "--header", "Connection: Upgrade", "--header", "Upgrade: websocket", "--header",
             "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip


def test_websocket_where_it_was_asked_for_and_nowhere_else(vps: Any) -> None:
    answer = vps.https(SHOP, "/ws", *WEBSOCKET)
    assert answer.status == 101, answer
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "hello" in answer.body
    assert vps.https(SHOP, "/page", *WEBSOCKET).body == "plain\n"
    # No other protocol can be talked into.
    assert vps.https(SHOP, "/ws", "--http1.1", "--header", "Connection: Upgrade", "--header", "Upgrade: h2c").body == (
        "plain\n"
    )


def test_a_limit_of_a_path_counts_there_alone(vps: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = ["/login", "/login/again"] * 5
        answers = list(pool.map(lambda path: vps.https(SHOP, path), paths))
    statuses = [answer.status for answer in answers]
    assert statuses.count(429) >= 6
    assert statuses.count(200) >= 1
    refused = next(answer for answer in answers if answer.status == 429)
    assert "a lot of requests" in refused.body
    assert refused.headers["retry-after"] == "10"
    assert vps.https(SHOP, "/headers").status == 200


def test_no_page_full_of_pictures_meets_the_limit(vps: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(lambda _: vps.https("hello.localhost").status, range(120)))
    assert statuses == {200}


def test_a_password_and_an_address_are_asked_for(vps: Any) -> None:
    answer = vps.https("private.localhost", "/headers")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="private"'
    assert "Please sign in" in answer.body
    assert vps.https("private.localhost", "/static/shop.css").status == 401
    assert vps.https("private.localhost", "/files/x").status == 401
    assert vps.https("private.localhost", "/headers", "--user", "ada:wrong").status == 401
    seen = vps.https("private.localhost", "/headers", *ADA)
    assert seen.status == 200
    assert "authorization" not in json.loads(seen.body), "the password is nginx's business"
    assert vps.run("stat", "-c", "%a %U %G", "/etc/nginx/apps/private.users") == "640 root www-data"


def test_snippets_of_one_s_own(vps: Any) -> None:
    assert vps.https(SHOP, "/snippet?colour=green").body == "leaf"
    assert vps.https(SHOP, "/snippet").body == "none"


def test_an_app_that_does_not_answer_has_a_page(vps: Any) -> None:
    vps.run("systemctl", "stop", "shop@*.service", "shop@*.socket")
    try:
        answer = vps.https(SHOP, "/headers")
    finally:
        vps.run("slipway", "start", "shop")
    assert answer.status == 502
    assert "not answering" in answer.body
    for name, value in CLAIMED.items():
        assert answer.headers[name] == value
    assert vps.https(SHOP, "/headers").status == 200


def test_pages_need_nothing_from_elsewhere(vps: Any) -> None:
    page = vps.https(SHOP, "/static/nothing-there.css").body
    assert '<meta name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(?:src|href|url)\s*[=(]", page)


def test_nginx_runs_in_a_sandbox_and_logs_are_rotated(vps: Any) -> None:
    report = vps.run("systemd-analyze", "security", "--no-pager", "nginx.service")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert level
    assert float(level[1]) <= 2.7
    before = vps.run("stat", "-c", "%i", "/var/log/nginx/access.log")
    vps.run("logrotate", "--force", "/etc/logrotate.d/nginx")

    def logged() -> bool:
        # A worker opens the new file when it gets round to it; what it is asked until then goes to the old one.
        assert vps.https(SHOP, "/headers?after-rotation").status == 200
        return bool(vps.run("grep", "-c", "after-rotation", "/var/log/nginx/access.log", check=False) not in {"", "0"})

    until(logged, "nginx writes to the new file")
    assert vps.run("stat", "-c", "%i", "/var/log/nginx/access.log") != before
