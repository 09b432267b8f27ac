"""What preflight says of settings and variables that cannot reach an app."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import load

apps = load("roles/preflight/filter_plugins/apps.py")
APP = {"source": {"path": "app"}, "wsgi": "wsgi:app", "domains": ["shop.example.com"]}


def problems(**keys: Any) -> list[str]:
    found: list[str] = apps.apps_problems({"shop": {**APP, **keys}})
    return found


@pytest.mark.parametrize("form", ["json", "toml", "python"])
def test_any_text_goes_into_any_form(form: str) -> None:
    nasty = "a\r\n'\"`\\$HOME ${X} %h {{ x }} \x01\x7f\u2028\uffff\U0001f600"
    file = {"format": form, "variable": "SHOP_SETTINGS"}
    assert problems(settings={"A": nasty, "B": [nasty, {"C": nasty}]}, settings_file=file) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"settings_file": {"format": "yaml"}}, "settings_file.format: must be one of json, toml, python"),
        ({"settings_file": {"form": "json"}}, "settings_file.form: there is no such key; did you mean format?"),
        ({"settings_file": {"variable": "A B"}}, "settings_file.variable: an environment variable's name"),
        ({"settings_file": {"variable": "LD_PRELOAD"}}, "settings_file.variable: this variable decides"),
        ({"env": {"APP_SETTINGS": "/x"}}, "env.APP_SETTINGS: names the settings file"),
        ({"settings_file": {"format": "toml"}, "settings": {"A": [None]}}, "settings.A.0: TOML has no null"),
        ({"settings_file": {"format": "python"}, "settings": {"A-B": "x"}}, "settings.A-B: is no name that Python"),
        ({"settings": {"A": "s3cret\0"}}, "settings.A: holds a NUL"),
        ({"settings": {"A": {"B": ["s3cret\ud800"]}}}, "settings.A.B[0]: holds half of a surrogate pair"),
        ({"settings": {"A": object()}}, "settings.A: must be text, a number"),
        ({"env": {"A": "s3cret\0"}}, "env.A: holds a NUL"),
        ({"env": {"A": "s3cret\ufffe"}}, "env.A: holds a code point that is no character"),
        ({"env": {"A": "s3cret" * 30000}}, "env.A: is longer than an environment variable can be"),
        ({"env": {"A": 1}}, "env.A: must be text; put it in quotes"),
    ],
)
def test_what_cannot_arrive_is_refused_by_its_key(keys: dict[str, Any], said: str) -> None:
    [problem] = problems(**keys)
    assert problem.startswith(f"apps.shop.{said}")
    assert "s3cret" not in problem


def test_variables_carry_what_systemd_carries() -> None:
    assert problems(env={"A": "a\r\n'\"`\\$HOME ${X} %h {{ x }} \x01\x7f\u2028\U0001f600", "FLASK_X": '{"a": 1}'}) == []
