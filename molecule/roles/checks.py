"""What the roles leave behind when each ran by itself."""

from __future__ import annotations

from typing import Any

# What a web server does, in the little that a bare Debian has for it.
ASK = """
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect(sys.argv[1])
asked.sendall(b"GET / HTTP/1.0\\r\\nHost: alone.localhost\\r\\n\\r\\n")
print(asked.makefile().read())
"""


def test_the_app_answers_the_web_server_alone(vps: Any) -> None:
    path = f"/run/alone/{vps.release('alone')}.sock"
    assert "Alone" in vps.run("runuser", "-u", "www-data", "--", "python3", "-c", ASK, path)
    assert vps.run("runuser", "-u", "nobody", "--", "python3", "-c", ASK, path, check=False) == ""
    assert vps.run("readlink", "-f", "/srv/alone/current/app.sock") == path
    assert vps.run("stat", "-c", "%a %G", path) == "660 www-data"


def test_nginx_without_an_app_answers_nobody(vps: Any) -> None:
    assert vps.http("alone.localhost").status == 0
    assert vps.https("alone.localhost", "/", "--insecure").status == 0
    vps.run("nginx", "-t")


def test_a_certificate_names_its_domain_and_ends_within_a_year(vps: Any) -> None:
    certificate = "/etc/ssl/alone/alone/fullchain.pem"
    vps.run("openssl", "verify", "-CAfile", "/etc/ssl/alone/authority/certificate.pem", certificate)
    assert "DNS:alone.localhost" in vps.run("openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName")
    assert vps.run(
        "openssl", "x509", "-in", certificate, "-noout", "-checkend", str(366 * 86400), check=False
    ).startswith("Certificate will expire")
    assert vps.run("stat", "-Lc", "%a %U", "/etc/ssl/alone/alone/privkey.pem") == "600 root"


def test_a_python_that_the_distribution_has_is_not_downloaded(vps: Any) -> None:
    own = vps.run("readlink", "-f", "/usr/bin/python3")
    version = own.rpartition("python")[2]
    assert vps.run("ls", "/opt/python") == version
    assert vps.run("readlink", "-f", f"/opt/python/{version}/bin/python{version}") == own


def test_what_an_app_may_write_is_its_shared_directory(vps: Any) -> None:
    assert vps.run("stat", "-c", "%a %U", "/srv/alone/shared/data") == "750 alone"
    assert vps.run("stat", "-c", "%a %U", "/srv/alone") == "711 root"
    assert vps.run("runuser", "-u", "alone", "--", "touch", "/srv/alone/releases/x", check=False) == ""
    assert "x" not in vps.run("ls", "/srv/alone/releases").split()
    assert vps.run("getent", "passwd", "alone").endswith("/usr/sbin/nologin")


def test_a_database_lets_its_app_in_and_nobody_else(vps: Any) -> None:
    ask = ("env", "-C", "/", "runuser", "-u")
    words = ("psql", "-XAtqw", "-d", "alone", "-c", "SELECT extname FROM pg_extension WHERE extname = 'citext'")
    assert vps.run(*ask, "alone", "--", *words) == "citext"
    assert vps.run(*ask, "nobody", "--", *words, check=False) == ""
    assert vps.run(*ask, "postgres", "--", "psql", "-XAtqc", "SHOW data_checksums") == "on"


def test_a_redis_answers_its_app_alone_and_no_network(vps: Any) -> None:
    ask = ("redis-cli", "-s", "/run/redis-alone/redis.sock", "ping")
    assert vps.run("runuser", "-u", "alone", "--", *ask) == "PONG"
    assert "PONG" not in vps.run("runuser", "-u", "nobody", "--", *ask, check=False)
    assert vps.run("systemctl", "is-active", "redis-server", check=False) == "inactive"
    assert ":6379" not in vps.run("ss", "-ltn")
