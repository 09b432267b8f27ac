"""Static files in pressed form: only where it helps, the same each time, never older than what they stand for."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from slipway import precompress

TEXT = b"a { color: red }\n" * 200


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "static/deep").mkdir(parents=True)
    return tmp_path / "static"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def no_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_text_gets_smaller_and_nothing_else_is_touched(static: Path, tmp_path: Path) -> None:
    (static / "deep/a.css").write_bytes(TEXT)
    (static / "tiny.css").write_bytes(b"a{}")
    (static / "photo.jpg").write_bytes(TEXT)
    (static / "noise.js").write_bytes(os.urandom(4096))
    precompress.press(static, tmp_path / "none")
    assert names(static) == ["a.css", "a.css.gz", "noise.js", "photo.jpg", "tiny.css"]
    assert gzip.decompress((static / "deep/a.css.gz").read_bytes()) == TEXT
    assert (static / "deep/a.css.gz").stat().st_mode & 0o777 == 0o644


def test_times_follow_from_content(static: Path, tmp_path: Path) -> None:
    (static / "a.css").write_bytes(TEXT)
    (static / "b.css").write_bytes(TEXT[:-1] + b" ")
    precompress.press(static, tmp_path / "none")
    first = {name: (static / name).stat().st_mtime for name in names(static)}
    assert first["a.css"] == first["a.css.gz"] != first["b.css"]
    pressed = (static / "a.css.gz").read_bytes()
    for name in names(static):
        if name.endswith(".gz"):
            (static / name).unlink()
        else:
            os.utime(static / name)
    precompress.press(static, tmp_path / "none")
    assert {name: (static / name).stat().st_mtime for name in names(static)} == first
    assert (static / "a.css.gz").read_bytes() == pressed


def test_what_the_source_brings_stays(static: Path, tmp_path: Path) -> None:
    (static / "a.css").write_bytes(TEXT)
    (static / "a.css.gz").write_bytes(b"theirs")
    precompress.press(static, tmp_path / "none")
    assert (static / "a.css.gz").read_bytes() == b"theirs"
    assert names(static) == ["a.css", "a.css.gz"]


def test_what_has_not_changed_is_taken_over_and_what_has_is_not(static: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for name in ("same.css", "other.css"):
        (static / name).write_bytes(TEXT)
        (before / f"{name}.gz").write_bytes(b"from before")
    (before / "same.css").write_bytes(TEXT)
    (before / "other.css").write_bytes(b"something else")
    precompress.press(static, before)
    assert (static / "same.css.gz").read_bytes() == b"from before"
    assert gzip.decompress((static / "other.css.gz").read_bytes()) == TEXT


def test_brotli_where_the_host_has_it(static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (static / "a.css").write_bytes(TEXT)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=b"pressed")

    monkeypatch.setattr(subprocess, "run", run)
    precompress.press(static, tmp_path / "none")
    assert (static / "a.css.br").read_bytes() == b"pressed"
    assert asked[0][0] == "/usr/bin/brotli"
