"""The controller's half of a deploy: what belongs to a source, and that the same source is the same release."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import packing.command
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


def test_a_checkout_that_git_will_not_read_is_no_tree_to_guess_at(tree: Path) -> None:
    (tree / ".env.production").write_text("SECRET_KEY=x")
    (tree / ".git").write_text("gitdir: nonsense\0")
    with pytest.raises(SourceError, match=r"source\.path: git cannot read .*\. git says"):
        Tree("apps.shop.source", tree)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_a_link_that_leads_out_is_named(tree: Path, target: str) -> None:
    (tree / "pkg" / "link").symlink_to(target)
    with pytest.raises(SourceError, match=rf"the link pkg/link leads out of the source, to {target}"):
        Tree("apps.shop.source", tree)


def test_odd_files_come_as_files_or_not_at_all(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "app.py", tree / "same.py")
    os.mkfifo(tree / "pipe")
    name = os.fsdecode(b"caf\xe9.txt")
    (tree / name).write_text("")
    (tree / "folder").symlink_to("pkg")
    source = Tree("apps.shop.source", tree)
    assert source.names == sorted(["app.py", name, "folder", "pkg/mod.py", "same.py"])
    source.pack(tmp_path / "out.tar.gz")
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert [member.isreg() for member in archive] == [name != "folder" for name in source.names]
        same = archive.extractfile("same.py")
        assert same is not None
        assert same.read() == b"app = 1\n"


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
    monkeypatch.setattr(packing.command, "PROTOCOLS", "file")
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
    with pytest.raises(SourceError, match=r"version: .* has no branch or tag v9$"):
        checkout(repository, "v9")
    with pytest.raises(SourceError, match=r"git: there is no repository at .*gone.*\. git says"):
        Checkout("apps.shop.source", {"git": f"file://{repository}gone", "version": "main"}, cache=repository)


def test_a_commit_or_a_directory_that_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no branch or tag 0123abc; a commit needs all of its 40 digits"):
        checkout(repository, "0123abc")
    with pytest.raises(SourceError, match=r"source\.version: .* has no such commit"):
        checkout(repository, "0" * 39 + "1").files()
    for path in ("nowhere", "app.py"):
        with pytest.raises(SourceError, match=rf"source\.path: .* has no directory {path} at main"):
            checkout(repository, "main", path=path).pack(tmp_path / "out.tar.gz")
    with pytest.raises(SourceError, match=r"source\.path: must be a directory inside"):
        checkout(repository, "main", path="pkg/../../x")
    # However it is written, it is the same.
    assert checkout(repository, "main", path="./pkg/").digest == checkout(repository, "main", path="pkg").digest
    assert checkout(repository, "main", path="pkg").read("mod.py") == "x = 1\n"


def test_an_old_server_hands_out_old_commits_too(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "config", "--unset", "uploadpack.allowAnySHA1InWant")
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": "0"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    first = git(repository, "rev-parse", "HEAD")
    (repository / "app.py").write_text("app = 2\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    git(repository, "tag", "-d", "v1")
    assert checkout(repository, first).read("app.py") == "app = 1\n"
    with pytest.raises(SourceError, match=r"source\.version: .* has no commit 0+1"):
        checkout(repository, "0" * 39 + "1").files()


def test_a_fetch_that_was_killed_is_made_anew(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: Any) -> str:
        raise KeyboardInterrupt

    source = checkout(repository, "main")
    with monkeypatch.context() as patched:
        patched.setattr(packing.command.Remote, "git", killed)
        with pytest.raises(KeyboardInterrupt):
            source.files()
    assert "app.py" in source.files()
    assert len(list((repository.parent / "cache").iterdir())) == 1
    # What nobody has used for a day goes with the next one.
    os.utime(next((repository.parent / "cache").iterdir()), (0, 0))
    (repository / "app.py").write_text("app = 2\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    assert checkout(repository, "main").read("app.py") == "app = 2\n"
    assert len(list((repository.parent / "cache").iterdir())) == 1


def test_a_deploy_from_within_a_hook_of_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q", "other")
    other = tmp_path / "other/.git"
    (other / "info/exclude").write_text("app.py\n")
    monkeypatch.setenv("GIT_DIR", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert Tree("apps.shop.source", repository).names == ["app.py", "pkg/mod.py"]
    assert "app.py" in checkout(repository, "main").files()
    assert not [path for path in (other / "objects").rglob("*") if path.is_file()]


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def test_what_does_not_come_along_is_said(repository: Path, tmp_path: Path) -> None:
    (repository / "logo.png").write_text(POINTER)
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "lib/it self")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    warnings = "\n".join(checkout(repository, "main").pack(tmp_path / "out.tar.gz"))
    assert "source.git: the submodule lib/it self does not come along" in warnings
    assert "source.git: logo.png came as pointers to large-file storage" in warnings
    # On this machine it is checked out: there it belongs to the source.
    tree = Tree("apps.shop.source", repository)
    assert "lib/it self/pkg/mod.py" in tree.names
    assert "submodule" not in "\n".join(tree.pack(tmp_path / "out.tar.gz"))
    git(repository, "submodule", "--quiet", "deinit", "--force", "--all")
    left = Tree("apps.shop.source", repository)
    assert "lib/it self is not checked out and stays behind" in "\n".join(left.pack(tmp_path / "out.tar.gz"))


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
