"""An app that reads TOML."""

import hashlib
import os
import tomllib

from flask import Flask

app = Flask(__name__)
app.config.from_file(os.environ["APP_SETTINGS"], load=tomllib.load, text=False)


@app.get("/")
def index() -> str:
    return "Up"


@app.get("/digest/<name>")
def digest(name: str) -> str:
    return hashlib.sha256(app.config[name].encode()).hexdigest()
