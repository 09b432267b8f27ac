"""Static files whose names change with their content, so that caches may keep them for ever.

assets/app.css is built to guestbook/static/app.<hash>.css, which any web server can serve as
it lies there; ``url_for("static", filename="app.css")`` finds it through the manifest.
"""

import hashlib
import json
import os
import posixpath
import re
from http.client import BAD_REQUEST
from pathlib import Path, PurePosixPath
from typing import Any

from flask import Flask, Response, request

SOURCES = Path(__file__).resolve().parent.parent / "assets"
_MANIFEST = "manifest.json"
_HASHED = re.compile(r".+\.[0-9a-f]{8}(\.[^./]+)?")
_CSS_URL = re.compile(rb"""url\(\s*(["']?)(?!data:|[a-z]+:|/|\#)([^"')]+?)\1\s*\)""")


def render(sources: Path) -> dict[str, bytes]:
    """Return what must be in the static folder: the content of each built file by its name."""
    found = {
        path.relative_to(sources).as_posix(): path.read_bytes()
        for path in sorted(sources.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    manifest: dict[str, str] = {}
    built: dict[str, bytes] = {}
    # Style sheets last: they name other files, which must have their hashes by then.
    for name in sorted(found, key=lambda name: (name.endswith(".css"), name)):
        content = found[name]
        if name.endswith(".css"):
            content = _with_hashed_urls(name, content, manifest)
        manifest[name] = _hashed(name, content)
        built[manifest[name]] = content
    built[_MANIFEST] = json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n"
    return built


def _hashed(name: str, content: bytes) -> str:
    path = PurePosixPath(name)
    digest = hashlib.sha256(content).hexdigest()[:8]
    return path.with_name(f"{path.stem}.{digest}{path.suffix}").as_posix()


def _with_hashed_urls(name: str, css: bytes, manifest: dict[str, str]) -> bytes:
    folder = posixpath.dirname(name)

    def replace(match: re.Match[bytes]) -> bytes:
        target = posixpath.normpath(posixpath.join(folder, match[2].decode()))
        if target not in manifest:
            raise FileNotFoundError(f"assets/{name} names {target}, which is not in assets/")
        return f"url({posixpath.relpath(manifest[target], folder or '.')})".encode()

    return _CSS_URL.sub(replace, css)


def stale(sources: Path, static: Path) -> list[str]:
    """Return the names in the static folder that ``build`` would write or remove."""
    built = render(sources)
    wrong = {
        name
        for name, content in built.items()
        if not (static / name).is_file() or (static / name).read_bytes() != content
    }
    return sorted(wrong | _leftovers(static, built))


def _leftovers(static: Path, built: dict[str, bytes]) -> set[str]:
    # Only names that a build could have made: a file put here by hand stays.
    present = {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()}
    return {name for name in present - built.keys() if _HASHED.fullmatch(name)}


def build(sources: Path, static: Path) -> list[str]:
    """Make the static folder match ``sources``; return the names that changed."""
    changed = stale(sources, static)
    built = render(sources)
    # The manifest last, so that it never names a file that is not there yet.
    for name in sorted(built.keys() & set(changed), key=lambda name: (name == _MANIFEST, name)):
        target = static / name
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        unfinished.write_bytes(built[name])
        unfinished.replace(target)
    for name in set(changed) - built.keys():
        (static / name).unlink(missing_ok=True)
    return changed


def init_app(app: Flask) -> None:
    """Make ``url_for("static", …)`` give hashed names, rebuilt on change in development."""
    static = Path(str(app.static_folder))
    manifest: dict[str, str] = {}
    seen: list[tuple[str, int, int]] = []

    def load() -> None:
        if (static / _MANIFEST).is_file():
            manifest.clear()
            manifest.update(json.loads((static / _MANIFEST).read_bytes()))

    def rebuild_if_changed() -> None:
        now = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(SOURCES.rglob("*"))]
        if now != seen:
            if build(SOURCES, static):
                load()
            seen[:] = now

    def use_hashed_name(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "filename" in values:
            values["filename"] = manifest.get(values["filename"], values["filename"])

    def keep_for_ever(response: Response) -> Response:
        name = (request.view_args or {}).get("filename")
        if request.endpoint == "static" and response.status_code < BAD_REQUEST and name in manifest.values():
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    load()
    app.url_defaults(use_hashed_name)
    app.after_request(keep_for_ever)
    if app.config["ASSETS_AUTO_BUILD"] or app.debug:
        app.before_request(rebuild_if_changed)
