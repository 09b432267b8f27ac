"""The controller's half of a deploy: what belongs to a source, and that the same source is the same release."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import packing.git
import pytest
from packing.git import Checkout
from packing.requirement import Requirement
from packing.source import SourceError
from packing.tree import Tree

OPTIONS = {
    "python": "/usr/bin/python3",
    "python_directory": "/opt/python",
    "config_files": ["/etc/{app}"],
    "unit_files": [],
    "keep": 5,
    "lock_timeout": 1,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "pkg").mkdir(parents=True)
    (root / "app.py").write_text("app = 1\n")
    (root / "pkg" / "mod.py").write_text("x = 1\n")
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(
        ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_digest_follows_content_not_time(tree: Path) -> None:
    before = Tree("apps.shop.source", tree).digest
    os.utime(tree / "app.py", (0, 0))
    assert Tree("apps.shop.source", tree).digest == before
    (tree / "app.py").write_text("app = 2\n")
    assert Tree("apps.shop.source", tree).digest != before


@pytest.mark.parametrize("change", ["rename", "mode", "link"])
def test_the_digest_sees_names_modes_and_links(tree: Path, change: str) -> None:
    before = Tree("apps.shop.source", tree).digest
    if change == "rename":
        (tree / "app.py").rename(tree / "app2.py")
    elif change == "mode":
        (tree / "app.py").chmod(0o755)
    else:
        (tree / "link").symlink_to("app.py")
    assert Tree("apps.shop.source", tree).digest != before


def test_what_git_ignores_stays_behind(tree: Path) -> None:
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("instance/\n.env\n")
    (tree / "instance").mkdir()
    (tree / "instance" / "app.db").write_text("data")
    (tree / ".env").write_text("SECRET_KEY=x")
    (tree / "untracked.py").write_text("")
    assert Tree("apps.shop.source", tree).names == [".gitignore", "app.py", "pkg/mod.py", "untracked.py"]


def test_a_clean_tree_has_a_revision_and_a_changed_one_has_none(tree: Path) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "first")
    assert Tree("apps.shop.source", tree).revision == git(tree, "rev-parse", "HEAD")
    (tree / "app.py").write_text("changed")
    assert Tree("apps.shop.source", tree).revision is None
    (tree / "app.py").unlink()
    assert Tree("apps.shop.source", tree).names == ["pkg/mod.py"]


def test_without_git_the_usual_litter_stays_behind(tree: Path) -> None:
    for name in (".venv/lib.py", "__pycache__/app.pyc", ".env", "node_modules/x.js"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("")
    assert Tree("apps.shop.source", tree).names == ["app.py", "pkg/mod.py"]
    assert Tree("apps.shop.source", tree).revision is None


def test_a_missing_or_empty_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.path: there is no directory"):
        Tree("apps.shop.source", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is empty"):
        Tree("apps.shop.source", tmp_path / "empty")


def test_an_archive_holds_what_the_digest_covers(tree: Path, tmp_path: Path) -> None:
    source = Tree("apps.shop.source", tree)
    source.pack(tmp_path / "out.tar.gz")
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert archive.getnames() == source.names


def test_the_program_is_the_same_bytes_each_time_and_runs(release_action: ModuleType, tmp_path: Path) -> None:
    assert release_action.program() == release_action.program()
    path = tmp_path / "slipway"
    path.write_bytes(release_action.program())
    path.chmod(0o755)
    shown = subprocess.run([str(path), "--help"], capture_output=True, text=True, check=True)
    assert "rollback" in shown.stdout


def request(release_action: ModuleType, tree: Path, **app: Any) -> dict[str, Any]:
    data = {"source": {"path": "x"}, "domains": ["shop.example.com"], **app}
    made = release_action.request("shop", data, Tree("apps.shop.source", tree), {**OPTIONS, "front": ""})
    return dict(json.loads(json.dumps(made)))


def test_a_request_is_what_the_host_s_program_reads(release_action: ModuleType, tree: Path) -> None:
    from slipway import spec  # noqa: PLC0415 - found through tests/conftest.py

    settings = {"SECRET_KEY": 'a"b\\c{{ d }}\n', "COUNT": 3}
    made = request(release_action, tree, settings=settings, env={"A": "1"}, health={"path": "/healthz"})
    parsed = spec.parse(json.dumps(made))
    assert parsed.health.path == "/healthz"
    assert parsed.config_files == ("/etc/shop",)
    assert json.loads(parsed.settings.content) == settings
    assert (parsed.settings.filename, parsed.settings.variable) == ("settings.json", "APP_SETTINGS")


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("", "/usr/bin/python3"),
        ("/usr/local/bin/python3.9", "/usr/local/bin/python3.9"),
        ("3.12", "/opt/python/3.12/bin/python3.12"),
        ("3.12.9", "/opt/python/3.12.9/bin/python3.12"),
    ],
)
def test_a_python_is_named_by_version_or_path(release_action: ModuleType, tree: Path, named: str, path: str) -> None:
    assert request(release_action, tree, python=named)["python"] == path


def test_the_settings_file_is_what_the_app_reads(release_action: ModuleType, tree: Path) -> None:
    from slipway import spec  # noqa: PLC0415 - found through tests/conftest.py

    file = {"format": "python", "variable": "SHOP_SETTINGS"}
    parsed = spec.parse(json.dumps(request(release_action, tree, settings={"A": "1"}, settings_file=file)))
    assert (parsed.settings.filename, parsed.settings.variable) == ("settings.py", "SHOP_SETTINGS")
    assert parsed.settings.content.endswith(b"\nA = '1'\n")


HOSTILE = [
    "ext::sh -c id",
    "file:///etc",
    "--upload-pack=id",
    "http://example.com/x",
    "/etc",
    "https://u:p@example.com/x",
]


@pytest.fixture
def repository(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The one transport that a test can use without a server; nobody else may.
    monkeypatch.setattr(packing.git, "PROTOCOLS", "file")
    git(tree, "init", "-q", "-b", "main")
    git(tree, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "first")
    git(tree, "tag", "-a", "v1", "-m", "v1")
    return tree


def checkout(repository: Path, version: str, **more: str) -> Checkout:
    source = {"git": f"file://{repository}", "version": version, **more}
    return Checkout("apps.shop.source", source, cache=repository.parent / "cache")


@pytest.mark.parametrize("version", ["main", "v1"])
def test_a_branch_and_a_tag_lead_to_their_commit(repository: Path, version: str) -> None:
    assert checkout(repository, version).revision == git(repository, "rev-parse", "HEAD")


def test_a_commit_is_packed_as_it_was(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "app.py").write_text("app = 2\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    old, new = checkout(repository, first), checkout(repository, "main")
    assert old.digest != new.digest
    old.pack(tmp_path / "old.tar.gz")
    with tarfile.open(tmp_path / "old.tar.gz") as archive:
        member = archive.extractfile("app.py")
        assert member is not None
        assert member.read() == b"app = 1\n"
    inside = checkout(repository, "main", path="pkg")
    inside.pack(tmp_path / "inside.tar.gz")
    with tarfile.open(tmp_path / "inside.tar.gz") as archive:
        assert "mod.py" in archive.getnames()
    assert list(inside.files()) == ["mod.py"]


def test_a_version_or_a_repository_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(SourceError, match=r"version: .* has no branch, tag or commit v9"):
        checkout(repository, "v9")
    with pytest.raises(SourceError, match=r"git: .*gone cannot be read\. git says"):
        Checkout("apps.shop.source", {"git": f"file://{repository}gone", "version": "main"}, cache=repository)


@pytest.mark.parametrize("url", HOSTILE)
def test_no_transport_that_runs_commands(apps_filter: ModuleType, tmp_path: Path, url: str) -> None:
    app = {"source": {"git": url, "version": "main"}, "wsgi": "a:b", "domains": ["a.example.com"]}
    assert "apps.shop.source.git" in "\n".join(apps_filter.apps_problems({"shop": app}))
    if url.startswith(("ext", "file")):
        with pytest.raises(SourceError, match="not allowed"):
            Checkout("apps.shop.source", {"git": url, "version": "main"}, cache=tmp_path)


def test_a_deploy_key_is_a_file_only_while_git_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$@" > {seen}\nfor last in "$@"; do [ -f "$last" ] && cat "$last" >> {seen}; done\nexit 1\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    source = {"git": "ssh://git@example.com/shop.git", "version": "main", "key": "THE KEY"}
    with pytest.raises(SourceError) as caught:
        Checkout("apps.shop.source", source, cache=tmp_path)
    assert "THE KEY" in seen.read_text()
    assert "THE KEY" not in str(caught.value)
    words = seen.read_text().split()
    assert not Path(words[words.index("-i") + 1]).exists()


def test_a_package_is_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    with pytest.raises(SourceError, match="uv pip compile"):
        Requirement("apps.money.source", "ihatemoney==7.2.1", lock)
    lock.write_text("flask==3.1.3\n")
    with pytest.raises(SourceError, match=r"does not pin ihatemoney==7\.2\.1"):
        Requirement("apps.money.source", "ihatemoney==7.2.1", lock)
    lock.write_text("ihatemoney==7.2.1 \\\n    --hash=sha256:00\n")
    money = Requirement("apps.money.source", "IHateMoney==7.2.1", lock)
    money.pack(tmp_path / "out.tar.gz")
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert archive.getnames() == ["requirements.txt"]
