"""Building a release: everything that it needs to run, complete before it gets its name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway import durable, envfile, precompress, process, room, venv, workers
from slipway.errors import BAD_REQUEST, SlipwayError
from slipway.layout import Layout
from slipway.spec import Hook, Spec, from_public

RECORD = "release.json"
_BUILDING = ".building-"
MINIMUM_BYTES = 200 << 20
MINIMUM_INODES = 20_000


def release_id(spec: Spec, *, planned: bool = False) -> str:
    """The id of what `spec` describes on this host: a hash of everything that makes it.

    The host's own part of it is the interpreter and the server's configuration and units; change one of them and the
    next deploy is a new release, switched to and rolled back like any other.
    """
    files = {path: _digest(path, planned=planned) for path in (*spec.config_files, *spec.unit_files)}
    content = {**spec.content(), "files": files, "python": _python(spec.python, planned=planned)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _python(python: str, *, planned: bool) -> str:
    try:
        return venv.python_tag(python)
    except SlipwayError:
        if planned:
            # As with files that a dry run has not written.
            return "missing"
        raise


def _digest(path: str, *, planned: bool) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except FileNotFoundError:
        if planned:
            # A dry run has not written it, and a real one is about to find out.
            return "missing"
        raise SlipwayError(
            f"{path} is missing on this host.",
            hint="Run the whole site.yml once: it installs the app's server.",
        ) from None


def is_complete(layout: Layout, release: str) -> bool:
    return (layout.release(release) / RECORD).is_file()


def record(layout: Layout, release: str) -> dict[str, Any]:
    """What a release says of itself.

    Raises:
        SlipwayError: there is no such release.
    """
    try:
        data = json.loads((layout.release(release) / RECORD).read_text())
    except FileNotFoundError:
        raise SlipwayError(
            f"{layout.app} has no release {release}.",
            hint=f"See which it has: slipway releases {layout.app}",
            code=BAD_REQUEST,
        ) from None
    return dict(data)


def require_python(layout: Layout, release: str) -> None:
    """See that the Python which a release was built with has not been removed since.

    Raises:
        SlipwayError: it has; nothing of that release can run.
    """
    python = layout.release(release) / "venv" / "bin" / "python"
    if not python.exists():
        raise SlipwayError(
            f"Release {release} was built with {os.path.realpath(python)}, which this host no longer has.",
            hint="Install that Python again, or deploy the code of that release: it is then built with the Python that "
            f"there is. Nothing was changed; release {layout.current_id()} is still serving.",
        )


def build(layout: Layout, spec: Spec, release: str, archive: Path) -> list[str]:
    """Build a release from an archive of its source.

    The order is what survives a power cut: build under a temporary name, sync it, rename it, sync the parent.

    Returns:
        What the user should know though nothing failed.

    Raises:
        SlipwayError: something that the spec names is missing, or the dependencies did not install.
    """
    gid = process.group_id(layout.app)
    final = layout.release(release)
    work = layout.releases / f"{_BUILDING}{release}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o711)
    work.chmod(0o711)
    check_space(layout, archive.stat().st_size)
    _unpack(archive, work / "src")
    if hook := spec.hooks.get("before_build"):
        _run_before_build(layout, work / "src", hook)
    environment = venv.ensure(layout.venvs, work / "src" / spec.requirements, spec.python, gid=gid)
    (work / "venv").symlink_to(Path("../../venvs") / environment.name)
    (work / "app.sock").symlink_to(layout.socket(release))
    for path in spec.config_files:
        durable.write_file(work / Path(path).name, Path(path).read_bytes(), mode=0o640, gid=gid)
    durable.write_file(work / spec.settings.filename, spec.settings.content, mode=0o640, gid=gid)
    variables = _environment(spec, final, release)
    durable.write_file(work / "env", envfile.dump(variables).encode(), mode=0o600)
    workers.write(spec, work, gid)
    _link_shared(layout, spec, work / "src")
    _copy_static(spec, work)
    precompress.press(work / "static", layout.current / "static")
    _compile(work / "src", environment)
    _protect(work / "src", gid)
    summary = {
        "id": release,
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
        "venv": environment.name,
        "spec": spec.public(),
        "files": spec.files,
    }
    durable.write_file(work / RECORD, json.dumps(summary, indent=2, sort_keys=True).encode() + b"\n")
    durable.sync_tree(work)
    # Only an incomplete directory can stand here, left by hand: a complete one is never built again.
    shutil.rmtree(final, ignore_errors=True)
    durable.rename(work, final)
    if b"--hash=" not in (final / "src" / spec.requirements).read_bytes():
        return [f"{spec.requirements} pins no hashes: add --generate-hashes to the command that makes it"]
    return []


def clean(layout: Layout) -> None:
    """Remove what a build that died has left."""
    for path in layout.releases.glob(f"{_BUILDING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _environment(spec: Spec, final: Path, release: str) -> dict[str, str]:
    base = {
        "HOME": str(final.parent.parent / "shared"),
        "LANG": "C.UTF-8",
        "PATH": f"{final}/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": f"{final}/venv",
    }
    own = {"RELEASE_ID": release, spec.settings.variable: str(final / spec.settings.filename)}
    return {**base, **spec.env, **own}


def check_space(layout: Layout, archive_size: int) -> None:
    """See that the disk can hold a release; sources unpack to some times the size of their archive, in bytes.

    Raises:
        SlipwayError: it cannot; nothing was begun.
    """
    du = f"Free some room; see what is there with: du -xh --max-depth=2 {layout.base}"
    room.require(layout.base, 10 * archive_size + MINIMUM_BYTES, "a release needs", hint=du)
    room.require_inodes(layout.base, MINIMUM_INODES, "a release needs")


def _run_before_build(layout: Layout, source: Path, hook: Hook) -> None:
    """Let the app's user change the source, which is nobody's yet; from then on it belongs to root."""
    process.give(layout.app, source)
    environment = {"HOME": str(source), "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    where = process.Place(layout.app, source, environment)
    process.run_in(where, hook.command, timeout=hook.timeout, name="hooks.before_build")


def _unpack(archive: Path, target: Path) -> None:
    """Extract regular files, directories and links that stay inside; the packer writes nothing else."""
    target.mkdir()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                pointed = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))
                inside = not os.path.normpath(member.name).startswith(("/", ".."))
                link_inside = not member.issym() or not (os.path.isabs(member.linkname) or pointed.startswith(".."))
                if not (inside and link_inside and (member.isreg() or member.isdir() or member.issym())):
                    raise SlipwayError(
                        f"source: {member.name} is not a file or link inside the source", code=BAD_REQUEST
                    )
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                tar.extract(member, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, and no word about the archive
        raise SlipwayError(f"The archive of the source cannot be read: {error}") from None


def _link_shared(layout: Layout, spec: Spec, source: Path) -> None:
    for name in spec.shared:
        link, target = source / name, layout.shared / name
        if not target.is_dir():
            raise SlipwayError(f"shared: {target} is missing.", hint="Run the whole site.yml once: it makes it.")
        if link.is_dir() and not link.is_symlink() and not any(link.iterdir()):
            link.rmdir()
        if link.exists():
            raise SlipwayError(
                f"shared: the source itself holds {name}, which is to be kept in shared/",
                hint=f"Take {name} out of the source (into .gitignore), or out of shared.",
                code=BAD_REQUEST,
            )
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        _take_back(layout, target.iterdir(), target)
    _take_back(layout, layout.shared.glob(f"{layout.app}.db*"), layout.shared)


def _take_back(layout: Layout, data: Iterable[Path], tree: Path) -> None:
    """Data that outlived an earlier life of this app was given to root; it is the app's again."""
    if os.geteuid() == 0 and any(path.lstat().st_uid == 0 for path in data):
        process.give(layout.app, tree)


def _copy_static(spec: Spec, work: Path) -> None:
    """The web server's own copy: it may read nothing else of the source."""
    target = work / "static"
    if spec.static:
        base = next(work.glob("venv/lib/python*/site-packages")) if spec.packaged else work / "src"
        source = base / spec.static
        if not source.is_dir():
            whole = "package" if spec.packaged else "source"
            raise SlipwayError(f"static.path: the {whole} holds no directory {spec.static}", code=BAD_REQUEST)
        for path in source.rglob("*"):
            # Copied by root and then served: a link must not lead to what the app itself could not publish.
            if path.is_symlink() and not path.resolve().is_relative_to(base.resolve()):
                raise SlipwayError(f"static.path: {path.relative_to(base)} leads outside the source")
        shutil.copytree(source, target)
    else:
        target.mkdir()
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _compile(source: Path, environment: Path) -> None:
    # Its exit code says only that some file does not compile, which may be a template for another Python; whether
    # the app itself works is for the health gate to find out.
    command = [
        str(environment / "bin/python"),
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        ".",
    ]
    subprocess.run(command, cwd=source, capture_output=True)


def _protect(source: Path, gid: int) -> None:
    """The source belongs to root and its app may read it, so that an app cannot change its own code."""
    for path in (source, *source.rglob("*")):
        os.chown(path, 0 if os.geteuid() == 0 else -1, gid, follow_symlinks=False)
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o111
            path.chmod(0o750 if executable else 0o640)


def recorded_spec(layout: Layout, release: str) -> Spec:
    """The spec that a release was built from, without its secrets."""
    return from_public(record(layout, release)["spec"])
