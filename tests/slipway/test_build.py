"""What goes into a release, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from slipway import transaction
from slipway.errors import SlipwayError

from .conftest import Host


def test_static_files_are_a_copy_that_the_web_server_may_read(host: Host) -> None:
    archive = host.archive({"web/static/app.css": "a{}", "requirements.txt": ""})
    release = transaction.deploy(host.spec(static="web/static"), archive)["release"]
    css = host.layout.release(release) / "static" / "app.css"
    assert css.read_text() == "a{}"
    assert css.stat().st_mode & 0o777 == 0o644


def test_a_shared_directory_outlasts_releases(host: Host) -> None:
    (host.layout.shared / "instance").mkdir()
    for version in "12":
        release = transaction.deploy(host.spec(version, shared=("instance",)), host.archive())["release"]
        link = host.layout.release(release) / "src" / "instance"
        assert link.resolve() == host.layout.shared / "instance"


@pytest.mark.parametrize(
    ("changes", "files", "message"),
    [
        ({"static": "nowhere"}, None, "static.path: the source holds no directory nowhere"),
        ({"shared": ("nowhere",)}, None, "nowhere is missing"),
        ({"shared": ("data",)}, {"data/x": "1"}, "the source itself holds data"),
        ({"config_files": ("/nonexistent/shop.conf.py",)}, None, "/nonexistent/shop.conf.py is missing on this host"),
    ],
)
def test_what_the_spec_names_must_be_there(
    host: Host, changes: dict[str, Any], files: dict[str, str] | None, message: str
) -> None:
    (host.layout.shared / "data").mkdir()
    with pytest.raises(SlipwayError, match=message):
        transaction.deploy(host.spec(**changes), host.archive(files))
    assert host.current() is None
    assert not list(host.layout.releases.iterdir())


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_an_archive_stays_inside(host: Host, name: str) -> None:
    path = host.tmp / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(SlipwayError, match="inside the source"):
        transaction.deploy(host.spec(), path)
    assert not (host.layout.releases / "outside").exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../settings.json"])
def test_a_link_stays_inside(host: Host, target: str) -> None:
    path = host.tmp / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("static/link")
        info.type, info.linkname = tarfile.SYMTYPE, target
        tar.addfile(info)
    with pytest.raises(SlipwayError, match="inside the source"):
        transaction.deploy(host.spec(), path)


def test_a_torn_archive_is_refused(host: Host) -> None:
    whole = host.archive({"big.txt": "x" * 100_000, "requirements.txt": ""})
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(SlipwayError, match="cannot be read"):
        transaction.deploy(host.spec(), Path(whole))
