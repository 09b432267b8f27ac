"""The command as the controller calls it: a request on standard input, its source behind it."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from slipway import cli, priority, spec

from .conftest import Host


def call(host: Host, monkeypatch: pytest.MonkeyPatch, source: bytes) -> int:
    def parse(text: str) -> spec.Spec:
        assert json.loads(text) == {"app": "shop"}
        return host.spec()

    monkeypatch.setattr(spec, "parse", parse)
    monkeypatch.setattr(priority, "step_back", lambda: None)
    monkeypatch.setattr(cli, "_TEMPORARY", str(host.tmp))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"app": "shop"}\n' + source)))
    return cli.main(["--json", "deploy", *(["--archive", "-"] if source else [])])


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("slipway-*"))


def test_the_source_follows_the_request(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(host, monkeypatch, host.archive().read_bytes()) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["release"] == host.current()
    assert (host.layout.release(told["release"]) / "src" / "app.py").read_text() == "app = 1\n"
    assert leftovers(host.tmp) == []

    # What is built already needs no source.
    assert call(host, monkeypatch, b"") == 0


def test_a_source_that_is_cut_off_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = host.archive({"big.txt": "".join(map(str, range(50_000))), "requirements.txt": ""}).read_bytes()
    assert call(host, monkeypatch, whole[: len(whole) // 2]) != 0
    assert "The archive of the source cannot be read" in json.loads(capsys.readouterr().out)["msg"]
    assert host.current() is None
    assert leftovers(host.tmp) == []


def test_a_disk_that_does_not_take_the_source_is_named(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert call(host, monkeypatch, host.archive().read_bytes()) != 0
    told = json.loads(capsys.readouterr().out)["msg"]
    assert f"The source cannot be put into {host.tmp}: No space left on device." in told
    assert leftovers(host.tmp) == []


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_what_the_file_system_refuses_is_said_without_a_traceback(
    output: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_given: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), "/srv/shop/shared", None, "/srv/shop/replaced")

    monkeypatch.setitem(cli._VERBS, "status", refuse)
    assert cli.main([*output, "status"]) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)["msg"] if output else said.err
    assert "/srv/shop/shared -> /srv/shop/replaced: Invalid cross-device link." in told
