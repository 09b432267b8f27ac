"""The controller's half of a deploy: what belongs to a source, and that the same source is the same release."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail

OPTIONS = {"python": "/usr/bin/python3", "config_files": ["/etc/{app}"], "unit_files": [], "keep": 5, "lock_timeout": 1}


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


def test_the_digest_follows_content_not_time(release_action: ModuleType, tree: Path) -> None:
    before = release_action.Source(tree).digest
    os.utime(tree / "app.py", (0, 0))
    assert release_action.Source(tree).digest == before
    (tree / "app.py").write_text("app = 2\n")
    assert release_action.Source(tree).digest != before


@pytest.mark.parametrize("change", ["rename", "mode", "link"])
def test_the_digest_sees_names_modes_and_links(release_action: ModuleType, tree: Path, change: str) -> None:
    before = release_action.Source(tree).digest
    if change == "rename":
        (tree / "app.py").rename(tree / "app2.py")
    elif change == "mode":
        (tree / "app.py").chmod(0o755)
    else:
        (tree / "link").symlink_to("app.py")
    assert release_action.Source(tree).digest != before


def test_what_git_ignores_stays_behind(release_action: ModuleType, tree: Path) -> None:
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("instance/\n.env\n")
    (tree / "instance").mkdir()
    (tree / "instance" / "app.db").write_text("data")
    (tree / ".env").write_text("SECRET_KEY=x")
    (tree / "untracked.py").write_text("")
    assert release_action.Source(tree).files == [".gitignore", "app.py", "pkg/mod.py", "untracked.py"]


def test_a_clean_tree_has_a_revision_and_a_changed_one_has_none(release_action: ModuleType, tree: Path) -> None:
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "first")
    assert release_action.Source(tree).revision == git(tree, "rev-parse", "HEAD")
    (tree / "app.py").write_text("changed")
    assert release_action.Source(tree).revision is None
    (tree / "app.py").unlink()
    assert release_action.Source(tree).files == ["pkg/mod.py"]


def test_without_git_the_usual_litter_stays_behind(release_action: ModuleType, tree: Path) -> None:
    for name in (".venv/lib.py", "__pycache__/app.pyc", ".env", "node_modules/x.js"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("")
    assert release_action.Source(tree).files == ["app.py", "pkg/mod.py"]
    assert release_action.Source(tree).revision is None


def test_a_missing_or_empty_source_is_refused(release_action: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"source\.path: there is no directory"):
        release_action.Source(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnsibleActionFail, match="is empty"):
        release_action.Source(tmp_path / "empty")


def test_an_archive_holds_what_the_digest_covers(release_action: ModuleType, tree: Path, tmp_path: Path) -> None:
    source = release_action.Source(tree)
    source.pack(tmp_path / "out.tar.gz")
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert archive.getnames() == source.files


def test_the_program_is_the_same_bytes_each_time_and_runs(release_action: ModuleType, tmp_path: Path) -> None:
    assert release_action.program() == release_action.program()
    path = tmp_path / "slipway"
    path.write_bytes(release_action.program())
    path.chmod(0o755)
    shown = subprocess.run([str(path), "--help"], capture_output=True, text=True, check=True)
    assert "rollback" in shown.stdout


def request(release_action: ModuleType, tree: Path, **app: Any) -> dict[str, Any]:
    data = {"domains": ["shop.example.com"], **app}
    made = release_action.request("shop", data, release_action.Source(tree), {**OPTIONS, "front": ""})
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


def test_the_settings_file_is_what_the_app_reads(release_action: ModuleType, tree: Path) -> None:
    from slipway import spec  # noqa: PLC0415 - found through tests/conftest.py

    file = {"format": "python", "variable": "SHOP_SETTINGS"}
    parsed = spec.parse(json.dumps(request(release_action, tree, settings={"A": "1"}, settings_file=file)))
    assert (parsed.settings.filename, parsed.settings.variable) == ("settings.py", "SHOP_SETTINGS")
    assert parsed.settings.content.endswith(b"\nA = '1'\n")
