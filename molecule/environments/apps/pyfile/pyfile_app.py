"""An app that reads a Python file, as Flask's manual has it."""

import hashlib

from flask import Flask

app = Flask(__name__)
app.config.from_envvar("PYFILE_SETTINGS")


@app.get("/")
def index() -> str:
    return "Up"


@app.get("/digest/<name>")
def digest(name: str) -> str:
    return hashlib.sha256(app.config[name].encode()).hexdigest()
