"""An app that somebody has taken over: it does what it is asked to, and says what came of it."""

import os
import socket
import time

from attempts import outcomes
from flask import Flask, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok", "release": os.environ.get("RELEASE_ID", "unreleased")}


@app.post("/attempts")
def attempts() -> ResponseReturnValue:
    return outcomes(dict(request.get_json()))


@app.get("/reach/<host>/<int:port>")
def reach(host: str, port: int) -> str:
    """`open` where a connection is made; else the kind of error that came."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "open"


@app.cli.command("work")
def work() -> None:
    while True:
        time.sleep(1)


@app.cli.command("tidy")
def tidy() -> None:
    print("tidied", flush=True)
