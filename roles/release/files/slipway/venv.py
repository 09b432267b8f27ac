"""Virtual environments, one for each dependency lock and interpreter, shared by all releases that have both."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from slipway import durable
from slipway.errors import BAD_REQUEST, SlipwayError

UV = Path("/usr/local/bin/uv")
_COMPLETE = "slipway-complete"
_PYTHON_TAG = "import platform, sys; print(sys.implementation.cache_tag, platform.machine(), sys.base_prefix)"


@functools.cache
def python_tag(python: str) -> str:
    """What an environment built with `python` depends on: implementation, minor version, machine, prefix.

    The prefix is that of the file behind all links: where a link moves on to a newer Python, the next deploy makes an
    environment of its own, and the releases before it keep theirs.

    Raises:
        SlipwayError: no such interpreter.
    """
    try:
        command = [os.path.realpath(python), "-c", _PYTHON_TAG]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise SlipwayError(
            f"python: {python} is not an interpreter that runs on this host.",
            hint="One that apps name by version comes with the whole site.yml: run that once.",
            code=BAD_REQUEST,
        ) from None
    return result.stdout.strip()


def key(lock: bytes, python: str) -> str:
    """The name of the environment for a lock and an interpreter."""
    return hashlib.sha256(lock + b"\0" + python_tag(python).encode()).hexdigest()[:12]


def ensure(venvs: Path, lock_file: Path, python: str, *, gid: int) -> Path:
    """Return the environment for a lock, building it only where it is not complete yet.

    An environment cannot be moved once built, so it is built in place and a marker file, written last, tells that it
    is whole.

    Raises:
        SlipwayError: the lock is missing or its installation failed; with the installer's last lines.
    """
    if not lock_file.is_file():
        raise SlipwayError(
            f"requirements: the source holds no {lock_file.name}",
            hint=f"Make one with: uv pip compile --universal --generate-hashes requirements.in -o {lock_file.name}",
            code=BAD_REQUEST,
        )
    lock = lock_file.read_bytes()
    path = venvs / key(lock, python)
    if not (path / _COMPLETE).is_file():
        _build(path, lock_file, python, hashed=b"--hash=" in lock)
        os.chown(path, -1, gid)
        path.chmod(0o750)
        durable.sync_tree(path)
        durable.write_file(path / _COMPLETE, b"")
        durable.sync_directory(venvs)
    return path


def _build(path: Path, lock_file: Path, python: str, *, hashed: bool) -> None:
    shutil.rmtree(path, ignore_errors=True)
    hashes = ["--require-hashes"] if hashed else []
    interpreter = str(path / "bin" / "python")
    # Not by a link that may later lead elsewhere: a release keeps the Python that it was tried with.
    python = os.path.realpath(python)
    if UV.exists():
        _install([str(UV), "venv", "--quiet", "--python", python, str(path)])
        install = [str(UV), "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter]
    else:
        _install([python, "-m", "venv", str(path)])
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        _install([*install, *hashes, "--requirement", str(lock_file)])
    except SlipwayError:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _install(command: list[str]) -> None:
    # The machine's own certificates, so that an index behind a company's proxy works as it does for everything else.
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/root",
        "UV_CACHE_DIR": "/var/cache/slipway/uv",
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    result = subprocess.run(command, capture_output=True, text=True, env=environment, umask=0o022)
    if result.returncode:
        raise SlipwayError(
            "The dependencies could not be installed.", log=(result.stdout + result.stderr).splitlines()[-20:]
        )
