"""Marks from tools that are not ours: sslyze, testssl.sh, gixy; each comes in the version of its lock in locks/."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
DOMAIN = "guestbook.localhost"
CERTIFICATE = f"/etc/ssl/slipway/{DOMAIN.split('.', maxsplit=1)[0]}"
# Findings that stay, and why. Nothing else above "low" may be found.
WAIVED = {
    "ssl_ecdh_curve": "the post-quantum group is named on Debian 13 alone, whose OpenSSL knows it; it is tried below",
    "return_bypasses_allow_deny": "past an allow-list a 404 for directories and the page of maintenance are returned",
    "try_files_is_evil_too": "it asks for open_file_cache, which would go on serving the files of an old release",
}
# Those whose loss in a location would leave an answer without what is claimed of it.
SECURITY_HEADERS = (
    "Strict-Transport-Security,Content-Security-Policy,X-Content-Type-Options,Referrer-Policy,X-Frame-Options"
)


def tool(name: str, folder: Path) -> str:
    """The path of a Python program, installed from its lock into a virtual environment of its own."""
    python = folder / "venv/bin/python"
    lock = HERE / "locks" / f"{name}.txt"
    subprocess.run(["uv", "venv", "--quiet", "--python", ">=3.11", str(folder / "venv")], check=True)
    install = ["uv", "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(lock)]
    subprocess.run(install, check=True)
    return str(folder / "venv/bin" / name)


@pytest.fixture(scope="module")
def sslyze(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tool("sslyze", tmp_path_factory.mktemp("sslyze"))


@pytest.fixture(scope="module")
def gixy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tool("gixy", tmp_path_factory.mktemp("gixy"))


def verdict(sslyze: str, vps: Any, *profile: str, authority: Path | None = None) -> str:
    """The line that counts: the exit code is 0 even where no profile could be read."""
    target = [f"--certinfo_ca_file={authority or vps.authority}", "--sni", DOMAIN, f"{vps.address}:{vps.https_port}"]
    done = subprocess.run([sslyze, *profile, *target], capture_output=True, text=True, check=False)
    found = re.search(rf"^\s+{re.escape(vps.address)}:{vps.https_port}: (.*(?:\n\s+\*.*)*)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return found[1]


@pytest.mark.parametrize(
    "profile",
    ["--mozilla_config=intermediate", f"--custom_tls_config={HERE / 'graders/intermediate-6.0.json'}"],
    ids=["5.7", "6.0"],
)
def test_sslyze_calls_it_mozilla_s_intermediate(sslyze: str, vps: Any, profile: str) -> None:
    assert verdict(sslyze, vps, profile) == "OK - Compliant."


def test_sslyze_bites(sslyze: str, vps: Any) -> None:
    assert verdict(sslyze, vps, "--mozilla_config=modern").startswith("FAILED - Not compliant.")


@contextmanager
def elliptic(vps: Any, authority: Path) -> Iterator[None]:
    """A certificate of 80 days, all of it ECDSA: "modern" wants both, and the scenario's authority signs with RSA."""
    key = (
        "openssl req -x509 -sha256 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -addext keyUsage=critical,keyCertSign,cRLSign"
    )
    leaf = (
        f"subjectAltName=DNS:{DOMAIN}\\nauthorityKeyIdentifier=keyid\\nbasicConstraints=critical,CA:FALSE\\n"
        "keyUsage=critical,digitalSignature\\nextendedKeyUsage=serverAuth\\n"
    )
    sign = (
        f"cd {CERTIFICATE}; cp fullchain.pem kept.pem;"
        f"{key} -keyout /root/graded.key -out /root/graded.pem -subj /CN=graded -days 90;"
        f"openssl req -new -key privkey.pem -subj /CN={DOMAIN} -out /root/graded.csr;"
        f"printf '{leaf}' >/root/graded.ext;"
        "openssl x509 -req -sha256 -in /root/graded.csr -CA /root/graded.pem -CAkey /root/graded.key -set_serial 2"
        " -days 80 -extfile /root/graded.ext -out fullchain.pem; systemctl reload nginx"
    )
    try:
        vps.run("sh", "-ec", sign)
        authority.write_text(vps.run("cat", "/root/graded.pem") + "\n")
        yield
    finally:
        # Through the link: what it leads to is the role's.
        restore = f"cd {CERTIFICATE}; cat kept.pem >fullchain.pem; rm kept.pem /root/graded*; systemctl reload nginx"
        vps.run("sh", "-c", restore)


def test_one_variable_makes_it_modern(sslyze: str, vps: Any, tmp_path: Path) -> None:
    apps = ["-e", f"@{HERE / 'vars/apps.yml'}"]
    done = vps.playbook("site.yml", *apps, "-e", "nginx_tls_profile=modern")
    assert done.returncode == 0, done.stdout
    with elliptic(vps, tmp_path / "graded.pem"):
        modern = verdict(sslyze, vps, "--mozilla_config=modern", authority=tmp_path / "graded.pem")
    done = vps.playbook("site.yml", *apps)
    assert done.returncode == 0, done.stdout
    assert modern == "OK - Compliant."
    assert verdict(sslyze, vps, "--mozilla_config=intermediate") == "OK - Compliant."


def test_the_key_exchange_is_safe_from_quantum_computers_where_openssl_can(vps: Any) -> None:
    if vps.run("sh", "-c", ". /etc/os-release; echo $VERSION_ID") == "12":
        assert "X25519MLKEM768" not in vps.run("cat", "/etc/nginx/snippets/slipway-tls.conf")
        return
    asked = f"openssl s_client -connect 127.0.0.1:443 -servername {DOMAIN} -groups X25519MLKEM768 </dev/null 2>&1"
    assert "X25519MLKEM768" in vps.run("sh", "-c", asked)


def findings(gixy: str, *arguments: str) -> list[tuple[str, str, str]]:
    """Severity, rule and place of each; its exit code says 1 for opinions on speed too."""
    done = subprocess.run([gixy, "--format", "json", *arguments], capture_output=True, text=True, check=False)
    return [
        (found["severity"], found["plugin"], f"{found['file']}:{found['line']}") for found in json.loads(done.stdout)
    ]


def test_gixy_finds_nothing_in_the_configuration_as_it_is(gixy: str, vps: Any, tmp_path: Path) -> None:
    dump = tmp_path / "nginx.conf"
    dump.write_text(vps.run("nginx", "-T") + "\n")
    found = findings(gixy, f"--add-header-redefinition-headers={SECURITY_HEADERS}", str(dump))
    assert [one for one in found if one[0] in {"HIGH", "MEDIUM"} and one[1] not in WAIVED] == []


def test_gixy_bites(gixy: str) -> None:
    found = {
        rule for severity, rule, _ in findings(gixy, str(HERE / "graders/bad.conf")) if severity in {"HIGH", "MEDIUM"}
    }
    assert found >= {"alias_traversal", "http_splitting", "host_spoofing"}


def beside(vps: Any, script: str, *volumes: str) -> str:
    """What a script prints in a Debian 13 of its own that shares the VPS's network."""
    label = ["podman", "images", "--filter", "label=slipway=vps", "--format", "{{.Repository}}:{{.Tag}}"]
    images = subprocess.run(label, capture_output=True, text=True, check=True).stdout.split()
    image = next((name for name in images if ":trixie-" in name), None)
    assert image, "no image of Debian 13: does vps_debians_beside in inventory/hosts.yml still ask for one?"
    form = "{{.OCIRuntime}} {{range .HostConfig.Ulimits}}--ulimit={{.Name}}={{.Soft}}:{{.Hard}} {{end}}"
    inspected = subprocess.run(
        ["podman", "inspect", "--format", form, vps.name], capture_output=True, text=True, check=True
    )
    runtime, *limits = inspected.stdout.replace("RLIMIT_", "").lower().split()
    command = ["podman", "run", "--rm", f"--runtime={runtime}", *limits, f"--network=container:{vps.name}"]
    command += [*(f"--volume={volume}:ro" for volume in volumes), image, "sh", "-ec", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_testssl_gives_an_a_plus(vps: Any) -> None:
    # The one of Debian 12 gives no marks.
    script = f"""
        apt-get -qq update
        apt-get -qq install --yes --no-install-recommends testssl.sh >/dev/null 2>&1
        testssl --quiet --color 0 --warnings off --ip 127.0.0.1 --add-ca /authority.pem {DOMAIN}:443 || true
    """
    report = beside(vps, script, f"{vps.authority}:/authority.pem")
    grade, score = re.search(r"Overall Grade\s+(\S+)", report), re.search(r"Final Score\s+(\d+)", report)
    assert grade, report
    assert score, report
    assert (grade[1], int(score[1]) >= 95) == ("A+", True), report
