"""An app that says what reached it: in its answer, and as a line in the journal for whoever compares it with a log."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

BLOCK = 64 * 1024
UPLOADS = Path(__file__).parent / "uploads"
ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]

app = Flask(__name__, static_folder=None)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok", "release": os.environ.get("RELEASE_ID", "unreleased")}


@app.route("/", defaults={"path": ""}, methods=ANY)
@app.route("/<path:path>", methods=ANY)
def seen(path: str) -> ResponseReturnValue:  # noqa: ARG001 - the target below is what came, before any decoding
    body = request.get_data()
    sighting = {
        "id": request.headers.get("X-Request-ID", ""),
        "method": request.method,
        "target": request.environ["RAW_URI"],
        "prefix": request.environ["SCRIPT_NAME"],
        "scheme": request.environ["wsgi.url_scheme"],
        "peer": request.environ["REMOTE_ADDR"],
        "headers": {name.lower(): value for name, value in request.headers},
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    # In one go: other threads and processes write there too.
    sys.stdout.write(json.dumps({"seen": sighting}) + "\n")
    sys.stdout.flush()
    return sighting


@app.get("/status/<int:status>")
def status(status: int) -> ResponseReturnValue:
    return f"{status}\n", status


@app.get("/bytes/<int:size>")
def large(size: int) -> Response:
    """As many bytes, at most 16 MiB, a block at a time."""

    def blocks() -> Iterator[bytes]:
        left = min(size, 16 * 1024 * 1024)
        while left:
            block = b"x" * min(left, BLOCK)
            left -= len(block)
            yield block

    return Response(blocks(), content_type="application/octet-stream")


@app.put("/keep/<name>")
def keep(name: str) -> ResponseReturnValue:
    """Keep an upload where nginx serves it from."""
    (UPLOADS / Path(name).name).write_bytes(request.get_data())
    return "kept\n", 201
