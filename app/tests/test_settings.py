"""Each loader is seen to win over the ones before it, one by one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.cli import load_dotenv
from guestbook.checks import SettingsError
from guestbook.settings import SOURCES, load_settings


def load(instance: Path, name: str | None = "development", overrides: Mapping[str, Any] | None = None) -> Flask:
    app = Flask("guestbook", instance_path=str(instance), instance_relative_config=True)
    load_settings(app, name, overrides)
    return app


def test_every_loader_wins_over_the_ones_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key, seven places: each is added in turn and must be the one in effect."""

    def seen(overrides: Mapping[str, Any] | None = None) -> tuple[Any, str]:
        app = load(tmp_path, overrides=overrides)
        return app.config["ENTRIES_PER_PAGE"], app.extensions[SOURCES]["ENTRIES_PER_PAGE"]

    assert seen() == (20, "class Config")

    monkeypatch.setattr("guestbook.config.Development.ENTRIES_PER_PAGE", 1, raising=False)
    assert seen() == (1, "class Development")

    (tmp_path / "local.py").write_text("ENTRIES_PER_PAGE = 2\n")
    assert seen() == (2, "instance/local.py")

    settings_file = tmp_path / "settings.json"
    settings_file.write_text('{"ENTRIES_PER_PAGE": 3}')
    monkeypatch.setenv("APP_SETTINGS", str(settings_file))
    assert seen() == (3, f"settings file {settings_file}")

    (tmp_path / ".env").write_text("FLASK_ENTRIES_PER_PAGE=4\n")
    assert seen() == (4, "environment variable FLASK_ENTRIES_PER_PAGE")

    monkeypatch.setenv("FLASK_ENTRIES_PER_PAGE", "5")
    assert seen() == (5, "environment variable FLASK_ENTRIES_PER_PAGE")

    assert seen({"ENTRIES_PER_PAGE": 6}) == (6, "create_app")


def test_defaults_on_app_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path).config["RELEASE_ID"] == "unreleased"
    monkeypatch.setenv("RELEASE_ID", "3f2a9c1b04d7")
    assert load(tmp_path).config["RELEASE_ID"] == "3f2a9c1b04d7"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", '{"SECRET_KEY": "j\\u00f6\\"$%{{", "NOINDEX": true}'),
        ("s.toml", "SECRET_KEY = 'jö\"$%{{'\nNOINDEX = true\n"),
        ("s.py", "SECRET_KEY = 'jö\"$%{{'\nNOINDEX = True\nlower = 'not a setting'\n"),
    ],
)
def test_settings_file_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv("APP_SETTINGS", str(path))
    config = load(tmp_path, "testing").config
    assert config["SECRET_KEY"] == 'jö"$%{{'
    assert config["NOINDEX"] is True
    assert "lower" not in config


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.json", '{"SECRET_KEY": "hunter2"', "JSONDecodeError, line 1"),
        ("s.json", '["hunter2"]', "TypeError"),
        ("s.json", '{"secret_key": "hunter2"}', "KeyError"),
        ("s.toml", "SECRET_KEY = hunter2", "TOMLDecodeError"),
        ("s.py", "\nSECRET_KEY = 'hunter2", "SyntaxError, line 2"),
        ("s.yaml", "SECRET_KEY: hunter2", "none of .json, .toml, .py"),
        ("s.json", '{"NOINDEX": "hunter2"}', "NOINDEX must be true or false"),
        ("s.json", '{"TRUSTED_PROXIES": true}', "TRUSTED_PROXIES must be a whole number"),
        ("s.json", '{"SECRET_KEY": 12345}', "SECRET_KEY must be text"),
    ],
)
def test_a_broken_settings_file_is_named_but_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    monkeypatch.setenv("APP_SETTINGS", str(path))
    with pytest.raises(SettingsError) as refused:
        load(tmp_path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_missing_settings_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SETTINGS", str(tmp_path / "gone.json"))
    with pytest.raises(SettingsError, match=r"APP_SETTINGS=.*gone\.json cannot be read: No such file"):
        load(tmp_path)


def test_local_py_runs_in_development_only(tmp_path: Path) -> None:
    (tmp_path / "local.py").write_text("raise SystemExit('must not run')\n")
    load(tmp_path, "testing")
    load(tmp_path, "production", {"SECRET_KEY": "5f1c0a7be93d4826b1cf60d2e87a4935"})
    with pytest.raises(SystemExit):
        load(tmp_path, "development")


class TestPrefixedEnvironment:
    """Text stays text unless the key already has another type."""

    @pytest.mark.parametrize("text", ["1234567890" * 4, "true", "null", '{"a": 1}', "[1]", ' "x" ', ""])
    def test_text_stays_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("FLASK_SECRET_KEY", text)
        monkeypatch.setenv("FLASK_NEVER_HEARD_OF", text)
        config = load(tmp_path).config
        assert config["SECRET_KEY"] == text
        assert config["NEVER_HEARD_OF"] == text

    @pytest.mark.parametrize(
        ("variable", "text", "value"),
        [
            ("FLASK_NOINDEX", "true", True),
            ("FLASK_NOINDEX", "0", False),
            ("FLASK_TRUSTED_PROXIES", "2", 2),
            ("FLASK_SECRET_KEY_FALLBACKS", '["1", "b"]', ["1", "b"]),
            ("FLASK_MAX_CONTENT_LENGTH", "10", 10),
        ],
    )
    def test_typed_keys_are_converted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: object
    ) -> None:
        monkeypatch.setenv(variable, text)
        assert load(tmp_path).config[variable.removeprefix("FLASK_")] == value

    def test_a_duration_is_given_in_seconds(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_PERMANENT_SESSION_LIFETIME", "3600")
        assert load(tmp_path).permanent_session_lifetime.total_seconds() == 3600

    def test_a_part_of_a_mapping(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "local.py").write_text("LIMITS = {'day': 100, 'hour': 10, 'name': 'x'}\n")
        monkeypatch.setenv("FLASK_LIMITS__hour", "11")
        monkeypatch.setenv("FLASK_LIMITS__name", "12")
        assert load(tmp_path).config["LIMITS"] == {"day": 100, "hour": 11, "name": "12"}

    @pytest.mark.parametrize(
        ("variable", "said"),
        [
            ("FLASK_NOINDEX", "true or false"),
            ("FLASK_TRUSTED_PROXIES", "a whole number"),
            ("FLASK_SECRET_KEY_FALLBACKS", "a list"),
            ("FLASK_PERMANENT_SESSION_LIFETIME", "a whole number of seconds"),
        ],
    )
    @pytest.mark.parametrize("text", ["hunter2", "", "1_0", " 1", "1.5", "nan", "{}", "２"])  # noqa: RUF001
    def test_what_does_not_convert_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, said: str, text: str
    ) -> None:
        monkeypatch.setenv(variable, text)
        with pytest.raises(SettingsError) as refused:
            load(tmp_path)
        assert f"{variable} must be {said}" in str(refused.value)
        assert "hunter2" not in str(refused.value)

    def test_a_key_and_a_part_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_LIMITS", "x")
        monkeypatch.setenv("FLASK_LIMITS__hour", "11")
        with pytest.raises(SettingsError, match="both set"):
            load(tmp_path)


class TestEnvironmentName:
    def test_argument_then_variable_then_production(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SettingsError, match="SECRET_KEY is missing"):
            load(tmp_path, None)
        monkeypatch.setenv("FLASK_ENV_NAME", "testing")
        assert load(tmp_path, None).config["ENV_NAME"] == "testing"
        assert load(tmp_path, "development").config["ENV_NAME"] == "development"

    @pytest.mark.parametrize("name", ["prod", "", "Production"])
    def test_an_unknown_name_lists_the_known_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("FLASK_ENV_NAME", name)
        with pytest.raises(SettingsError, match="use one of development, production, testing"):
            load(tmp_path, None)


class TestDotenv:
    """Read in development, never in production."""

    def test_only_in_development(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("FLASK_NOINDEX=true\nFLASK_SECRET_KEY=0123\n")
        good = {"SECRET_KEY": "5f1c0a7be93d4826b1cf60d2e87a4935"}
        assert load(tmp_path, "production", good).config["NOINDEX"] is False
        assert load(tmp_path, "testing").config["NOINDEX"] is False
        development = load(tmp_path, "development").config
        assert (development["NOINDEX"], development["SECRET_KEY"]) == (True, "0123")

    def test_production_refuses_what_the_flask_command_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("FLASK_SECRET_KEY=5f1c0a7be93d4826b1cf60d2e87a4935\n")
        monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
        assert load_dotenv()  # as the command does before it looks for the app
        assert os.environ["FLASK_SECRET_KEY"]
        with pytest.raises(SettingsError, match=r"production reads no \.env"):
            load(tmp_path, "production")
        monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
        assert load(tmp_path, "production")


def test_json_of_every_type_round_trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"A": None, "B": [1, "2"], "C": {"d": 1.5}, "D": "\n\\'\"$`%h{{ x }}\u2028", "E": 0}
    path = tmp_path / "s.json"
    path.write_text(json.dumps(values))
    monkeypatch.setenv("APP_SETTINGS", str(path))
    config = load(tmp_path, "testing").config
    assert {key: config[key] for key in values} == values
