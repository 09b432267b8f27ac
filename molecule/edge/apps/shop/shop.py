"""An app with one page for each thing that nginx can be told about an app."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

UPLOADS = Path(__file__).parent / "uploads"
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

app = Flask(__name__, static_folder=None)
app.config.from_file(os.environ["APP_SETTINGS"], load=json.load)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/login")
@app.get("/login/<path:below>")
def login(below: str = "") -> str:
    return f"login {below}\n"


@app.get("/headers")
def headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


@app.get("/own")
def own() -> ResponseReturnValue:
    """Headers that are stricter than nginx's."""
    return "own\n", 200, {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


@app.route("/body", methods=["POST"])
@app.route("/import/body", methods=["POST"])
def body() -> dict[str, object]:
    return {"length": len(request.get_data()), "limit": current_app.config["MAX_CONTENT_LENGTH"]}


@app.get("/slow")
def slow() -> str:
    time.sleep(float(request.args["seconds"]))
    return "slow\n"


@app.get("/events")
def events() -> Response:
    """The second event comes only when somebody has taken the first: /events/go says so."""
    go = UPLOADS / "go"
    go.unlink(missing_ok=True)

    def lines() -> Iterator[str]:
        yield "data: first\n\n"
        while not go.exists():
            time.sleep(0.05)
        yield "data: second\n\n"

    return Response(lines(), content_type="text/event-stream")


@app.post("/go")
def let_go() -> str:
    (UPLOADS / "go").touch()
    return "gone\n"


@app.get("/ws", websocket=True)
@app.get("/ws")
@app.get("/page")
def websocket() -> ResponseReturnValue:
    """Accept a change to WebSocket by hand and send one frame; there is no library for it in the lock."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return "plain\n"
    key = request.headers["Sec-WebSocket-Key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET).digest()).decode()  # noqa: S324 - the protocol's own
    connection = request.environ["gunicorn.socket"]
    head = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + b"\x81\x05hello")
    connection.shutdown(1)
    return ""


@app.put("/keep/<name>")
def keep(name: str) -> ResponseReturnValue:
    (UPLOADS / Path(name).name).write_bytes(request.get_data())
    return "kept\n", 201
