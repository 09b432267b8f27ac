"""The smallest app worth deploying: no package, no database, settings from the environment."""

import os

from flask import Flask, render_template_string

app = Flask(__name__)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hello</title>
<link rel="stylesheet" href="{{ url_for('static', filename='hello.css') }}">
<p>{{ greeting }}</p>
<footer>Release {{ release }}</footer>
</html>
"""


@app.get("/")
def index() -> str:
    greeting = os.environ.get("GREETING", "Hello")
    return render_template_string(PAGE, greeting=greeting, release=os.environ.get("RELEASE_ID", "unreleased"))


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok", "release": os.environ.get("RELEASE_ID", "unreleased")}
