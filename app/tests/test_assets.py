"""Hashed names: fresh in the repository, found by url_for, rebuilt in development."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, url_for
from guestbook import assets

STATIC = Path(assets.__file__).parent / "static"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    (folder / "img").mkdir(parents=True)
    (folder / "app.css").write_text("a { background: url(img/dot.svg) } b { background: url('data:,x') }")
    (folder / "img/dot.svg").write_text("<svg/>")
    (folder / ".hidden").write_text("an editor's")
    return folder


def test_the_committed_files_are_fresh() -> None:
    assert assets.stale(assets.SOURCES, STATIC) == [], "run: flask --app wsgi assets build"


def test_build_is_deterministic_and_removes_its_own_leftovers(sources: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    changed = assets.build(sources, static)
    assert len(changed) == 3
    assert assets.build(sources, static) == []

    (static / "by-hand.txt").write_text("stays")
    (static / "old.0123abcd.css").write_text("goes")
    (old,) = static.glob("app.*.css")
    (sources / "app.css").write_text("c {}")
    assets.build(sources, static)
    (new,) = static.glob("app.*.css")
    assert new.name != old.name
    assert {path.name for path in static.glob("*.*")} == {new.name, "by-hand.txt", "manifest.json"}


def test_css_names_the_hashed_file(sources: Path) -> None:
    built = assets.render(sources)
    (css,) = (content for name, content in built.items() if name.endswith(".css"))
    (svg,) = (name for name in built if name.endswith(".svg"))
    assert re.fullmatch(r"img/dot\.[0-9a-f]{8}\.svg", svg)
    assert f"url({svg})".encode() in css
    assert b"url('data:,x')" in css


def test_css_naming_nothing_is_an_error(sources: Path) -> None:
    (sources / "img/dot.svg").unlink()
    with pytest.raises(FileNotFoundError, match=r"img/dot\.svg"):
        assets.render(sources)


def test_url_for_gives_the_hashed_name_of_a_real_file(app: Flask) -> None:
    with app.test_request_context():
        url = url_for("static", filename="app.css")
    assert re.fullmatch(r"/static/app\.[0-9a-f]{8}\.css", url)
    assert (STATIC / url.removeprefix("/static/")).is_file()
    with app.test_client().get(url) as answer:
        assert answer.mimetype == "text/css"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_put_there_by_hand_keeps_its_name(app: Flask) -> None:
    with app.test_request_context():
        assert url_for("static", filename="manual.pdf") == "/static/manual.pdf"
    with app.test_client().get("/static/manifest.json") as answer:
        assert "immutable" not in answer.headers["Cache-Control"]


@pytest.fixture
def small_app(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Flask]:
    """Return what makes an app with assets and static files of its own."""
    monkeypatch.setattr(assets, "SOURCES", sources)

    def make(auto_build: bool) -> Flask:
        app = Flask("small", root_path=str(tmp_path), static_folder="static")
        app.config["ASSETS_AUTO_BUILD"] = auto_build
        assets.init_app(app)
        app.get("/")(lambda: url_for("static", filename="app.css"))
        return app

    return make


def test_development_hashes_again_after_an_edit(small_app: Callable[[bool], Flask], sources: Path) -> None:
    client = small_app(True).test_client()
    before = client.get("/").text
    (sources / "app.css").write_text("body { color: red }")
    after = client.get("/").text
    assert before != after
    with client.get(after) as answer:
        assert answer.text == "body { color: red }"
    assert client.get(before).status_code == 404


def test_otherwise_nothing_is_written(small_app: Callable[[bool], Flask], tmp_path: Path) -> None:
    assert small_app(False).test_client().get("/").text == "/static/app.css"
    assert not (tmp_path / "static").exists()


def test_commands(app: Flask) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["assets", "check"]).exit_code == 0
    assert runner.invoke(args=["assets", "build"]).output == "Nothing to do.\n"
