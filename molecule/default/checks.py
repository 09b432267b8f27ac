"""What a visitor, an attacker and an operator see after site.yml."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import pytest

DOMAINS = {"guestbook": "guestbook.localhost", "hello": "hello.localhost"}
BOOK = DOMAINS["guestbook"]


@pytest.mark.parametrize("app", DOMAINS)
def test_each_app_answers_and_names_its_release(vps: Any, app: str) -> None:
    answer = vps.https(DOMAINS[app])
    assert answer.status == 200, answer.error
    assert vps.release(app) in answer.body
    assert vps.https(DOMAINS[app], "/healthz").status == 200


def test_the_database_is_migrated_and_the_form_works(vps: Any, tmp_path: Path) -> None:
    assert vps.https(BOOK, "/readyz").status == 200
    jar = ["--cookie-jar", str(tmp_path / "jar"), "--cookie", str(tmp_path / "jar")]
    page = vps.https(BOOK, "/", *jar).body
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token
    fields = ["--data-urlencode", "name=Ada", "--data-urlencode", "message=Über alles: <b>&</b>"]
    action = re.search(r'<form[^>]*action="([^"]+)"', page)
    path = action[1] if action else "/"
    assert vps.https(BOOK, path, *jar, *fields).status == 400
    sent = vps.https(BOOK, path, *jar, *fields, "--data-urlencode", f"csrf_token={token[1]}")
    assert sent.status == 303
    assert "Über alles: &lt;b&gt;&amp;&lt;/b&gt;" in vps.https(BOOK, "/", *jar).body


def test_static_files_come_from_nginx_and_hashed_ones_for_ever(vps: Any) -> None:
    hashed = re.search(r"/static/app\.[0-9a-f]+\.css", vps.https(BOOK).body)
    assert hashed
    answer = vps.https(BOOK, hashed[0])
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css"
    assert "x-request-id" not in answer.headers
    plain = vps.https(DOMAINS["hello"], "/static/hello.css")
    assert plain.headers["cache-control"] == "public, max-age=300"
    vps.run("systemctl", "stop", "guestbook@*.service", "guestbook@*.socket")
    try:
        assert vps.https(BOOK, hashed[0]).status == 200
        assert vps.https(BOOK).status == 502
    finally:
        vps.run("slipway", "start", "guestbook")
    assert vps.https(BOOK).status == 200


@pytest.mark.parametrize(
    "path", ["/static../env", "/static/../env", "/static/..%2f..%2fenv", "/static/%2e%2e/settings.json"]
)
def test_nothing_outside_the_static_files_is_served(vps: Any, path: str) -> None:
    assert vps.https(BOOK, path).status in {400, 404}


def test_plain_http_redirects_and_keeps_the_path(vps: Any) -> None:
    answer = vps.http(BOOK, "/a/b?c=d")
    assert answer.status == 308
    assert answer.headers["location"] == f"https://{BOOK}:{vps.https_port}/a/b?c=d"


def test_strangers_get_no_app(vps: Any) -> None:
    assert vps.http("other.example.com").status == 0
    stranger = vps.https("other.example.com", "/", "--insecure")
    assert stranger.status == 0
    assert "unrecognized name" in stranger.error
    wrong_host = vps.https(BOOK, "/", "--header", "Host: other.example.com")
    assert wrong_host.status == 421
    assert "guestbook" not in wrong_host.body.lower()


def test_the_certificate_is_checked_and_right(vps: Any) -> None:
    without = vps.https(BOOK, "/", "--cacert", "/etc/ssl/certs/ca-certificates.crt")
    assert without.status == 0
    assert "certificate" in without.error


def test_a_client_cannot_speak_for_the_proxy(vps: Any) -> None:
    forged = ["--header", "X-Forwarded-For: 203.0.113.9", "--header", "X-Request-ID: forged"]
    answer = vps.https(BOOK, "/", *forged)
    request_id = answer.headers["x-request-id"]
    assert request_id != "forged"
    line = vps.run("sh", "-c", f"journalctl -o cat -u 'guestbook@*' | grep {request_id}")
    assert json.loads(line)["remote_addr"] != "203.0.113.9"


def test_each_app_runs_as_itself_in_a_sandbox(vps: Any) -> None:
    for app in DOMAINS:
        unit = f"{app}@{vps.release(app)}.service"
        assert vps.run("systemctl", "show", "-P", "User", unit) == app
        report = vps.run("systemd-analyze", "security", "--no-pager", unit)
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
        assert level, report
        assert float(level[1]) <= 1.5


def test_one_app_cannot_read_another_s_settings_or_code(vps: Any) -> None:
    base = f"/srv/guestbook/releases/{vps.release('guestbook')}"
    assert vps.run("stat", "-c", "%a %U %G", f"{base}/settings.json") == "640 root guestbook"
    for path in ("settings.json", "env", "src/wsgi.py"):
        refused = vps.run("runuser", "-u", "hello", "--", "cat", f"{base}/{path}", check=False)
        assert refused == ""
        assert vps.run("cat", f"{base}/{path}")
    for path in ("src/wsgi.py", "settings.json", "src"):
        assert vps.run("runuser", "-u", "guestbook", "--", "test", "-w", f"{base}/{path}", check=False) == ""
        owner = vps.run("stat", "-c", "%U", f"{base}/{path}")
        assert owner == "root"


def test_nothing_has_failed(vps: Any) -> None:
    assert vps.run("systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""


def test_a_change_is_deployed_kept_and_rolled_back(vps: Any, project: Path, tmp_path: Path) -> None:
    first = vps.release("guestbook")
    shutil.copytree(
        project / "app", tmp_path / "app", ignore=shutil.ignore_patterns(".venv", "instance", "__pycache__")
    )
    shutil.copytree(project / "molecule/shared/hello", tmp_path / "molecule/shared/hello")
    page = tmp_path / "app/guestbook/templates/index.html"
    changed = f"<h1>Changed {secrets.token_hex(4)}: "
    page.write_text(page.read_text().replace("<h1>", changed, 1))
    elsewhere = ["-e", f"release_source_root={tmp_path}"]

    done = vps.playbook("playbooks/deploy.yml", *elsewhere)
    assert done.returncode == 0, done.stdout
    second = vps.release("guestbook")
    assert second != first
    assert changed in vps.https(BOOK).body
    assert vps.run("test", "-e", f"/srv/guestbook/releases/{first}/release.json") == ""

    again = vps.playbook("playbooks/deploy.yml", *elsewhere)
    assert "changed=0" in again.stdout
    assert vps.release("guestbook") == second

    back = vps.playbook("playbooks/rollback.yml", "-e", "app=guestbook")
    assert back.returncode == 0, back.stdout
    assert vps.release("guestbook") == first
    assert changed not in vps.https(BOOK).body


def test_what_nginx_refuses_never_reaches_its_directory(vps: Any) -> None:
    before = vps.run("sh", "-c", "cat /etc/nginx/nginx.conf; ls -A /etc/nginx/conf.d")
    refused = vps.playbook("site.yml", "-e", "nginx_certificates_directory=/nowhere")
    assert refused.returncode == 2
    assert "cannot load certificate" in refused.stdout
    assert vps.run("sh", "-c", "cat /etc/nginx/nginx.conf; ls -A /etc/nginx/conf.d") == before
    vps.run("systemctl", "reload", "nginx")
    assert vps.https(BOOK).status == 200


def test_a_site_goes_with_its_app_and_what_is_not_ours_stays(vps: Any) -> None:
    folder = "/etc/nginx/conf.d"
    vps.run("sh", "-c", f"cd {folder}; sed s/hello/old/g hello.conf >old.conf; echo '# mine' >mine.conf")
    done = vps.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    assert vps.run("sh", "-c", f"cd {folder}; ls; rm mine.conf").split() == [
        "default.conf",
        "guestbook.conf",
        "hello.conf",
        "mine.conf",
    ]


def test_a_broken_app_leaves_the_good_one_serving_and_says_why(vps: Any, project: Path, tmp_path: Path) -> None:
    good = vps.release("guestbook")
    shutil.copytree(
        project / "app", tmp_path / "app", ignore=shutil.ignore_patterns(".venv", "instance", "__pycache__")
    )
    shutil.copytree(project / "molecule/shared/hello", tmp_path / "molecule/shared/hello")
    (tmp_path / "app/wsgi.py").write_text("import a_module_that_is_not_there\n")
    failed = vps.playbook("playbooks/deploy.yml", "-e", f"release_source_root={tmp_path}")
    assert failed.returncode == 2
    assert "a_module_that_is_not_there" in failed.stdout
    assert f"Release {good} is still serving" in failed.stdout
    assert vps.release("guestbook") == good
    assert vps.https(BOOK).status == 200


def test_a_restart_of_the_machine_brings_the_same_release_back(vps: Any) -> None:
    release = vps.release("guestbook")
    vps.run("systemctl", "stop", "guestbook.service")
    assert vps.https(BOOK).status == 502
    vps.run("systemctl", "start", "guestbook.service")
    assert vps.release("guestbook") == release
    assert vps.https(BOOK).status == 200
    assert vps.run("systemctl", "is-enabled", "guestbook.service") == "enabled"
