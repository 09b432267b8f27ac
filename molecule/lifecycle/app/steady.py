"""An app of which every answer can be checked; its settings make it fail on demand."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

HERE = Path(__file__).parent
RELEASE = os.environ.get("RELEASE_ID", "unreleased")
BLOCK = 64 * 1024

app = Flask(__name__)
app.config.from_file(os.environ["APP_SETTINGS"], load=json.load)
# Read once, while the page reads it again each time: they differ where a release is not all of one piece.
version = (HERE / "version.txt").read_text().strip()
asset = next((HERE / "static").glob("page.*.css")).name


@app.get("/")
def page() -> str:
    now = (HERE / "version.txt").read_text().strip()
    return (
        f'<!doctype html><title>Steady</title><link rel="stylesheet" href="{url_for("static", filename=asset)}">'
        f"<p>release={RELEASE} version={version} on-disk={now} mark={app.config['MARK']}</p>"
    )


@app.get("/slow")
def slow() -> str:
    time.sleep(1)
    return f"release={RELEASE} slow"


@app.post("/upload")
def upload() -> str:
    digest, size = hashlib.sha256(), 0
    while block := request.stream.read(BLOCK):
        digest.update(block)
        size += len(block)
    return f"release={RELEASE} size={size} sha256={digest.hexdigest()}"


@app.get("/stream")
def stream() -> Response:
    """1 MiB over half a second, then a line with the hash of it."""

    def blocks() -> Iterator[bytes]:
        digest = hashlib.sha256()
        for number in range(16):
            block = hashlib.sha256(f"{RELEASE} {number}".encode()).digest() * (BLOCK // 32)
            digest.update(block)
            yield block
            time.sleep(0.03)
        yield f"\nrelease={RELEASE} sha256={digest.hexdigest()}".encode()

    return Response(blocks(), mimetype="application/octet-stream")


@app.get("/healthz")
def healthz() -> ResponseReturnValue:
    match app.config.get("HEALTH", "ok"):
        case "error":
            return "the queue is unreachable", 500
        case "redirect":
            return redirect("/login")
        case "slow":
            time.sleep(60)
        case "crash":
            print("the cache is gone", file=sys.stderr, flush=True)
            os._exit(1)
    return f"release={RELEASE} ok"
