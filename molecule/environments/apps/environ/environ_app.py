"""An app that reads environment variables and nothing else, as many do."""

import hashlib
import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Up"


@app.get("/digest/<name>")
def digest(name: str) -> str:
    return hashlib.sha256(os.environ[name].encode()).hexdigest()
