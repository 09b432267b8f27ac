"""Sets of files: all of them or none, and only what differs."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.file_checks import CheckError
from ansible.module_utils.file_set import leftovers

ROOT = Path(__file__).resolve().parents[2]
MARKED = "# Ansible managed\n"


class Module:
    """What the code under test uses of an AnsibleModule."""

    _diff = True

    def __init__(self, tmp: Path, files: dict[Path, str], validate: str | None = None, **options: Any) -> None:
        self.tmpdir = str(tmp)
        self.check_mode = options.pop("check_mode", False)
        apps = options.pop("of_apps", {})
        rendered = [
            {"path": str(path), "content": text, "validate": validate, "app": apps.get(path.name)}
            for path, text in files.items()
        ]
        self.params = {
            "rendered": rendered, "directories": [], "prune": [], "marker": None, "mode": "0644", "check": None,
            "owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name, **options,
        }  # fmt: skip

    def warn(self, text: str) -> None:
        assert "stay as they are" in text

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_what_differs_and_nothing_twice(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    files = {etc / "a.conf": "a\n", etc / "b.conf": "b\n"}
    assert rendered_files.put(Module(tmp_path, files))["files"] == [str(etc / "a.conf"), str(etc / "b.conf")]
    assert not rendered_files.put(Module(tmp_path, files))["changed"]
    (etc / "b.conf").chmod(0o600)
    assert rendered_files.put(Module(tmp_path, files))["files"] == [str(etc / "b.conf")]
    assert (etc / "b.conf").stat().st_mode & 0o777 == 0o644
    assert names(etc) == ["a.conf", "b.conf"]


def test_a_link_becomes_a_file_and_its_target_stays(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("new\n")
    (etc / "a.conf").symlink_to(tmp_path / "target")
    assert rendered_files.put(Module(tmp_path, {etc / "a.conf": "new\n"}))["changed"]
    assert not (etc / "a.conf").is_symlink()
    assert (tmp_path / "target").read_text() == "new\n"


def test_a_dry_run_shows_everything_and_touches_nothing(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    (etc / "a.conf").write_text("old\n")
    new = etc / "not yet there"
    module = Module(tmp_path, {etc / "a.conf": "new\n", new / "b": "b\n"}, check_mode=True, directories=[str(new)])
    result = rendered_files.put(module)
    assert result["changed"]
    assert [(diff["before"], diff["after"]) for diff in result["diff"]] == [("old\n", "new\n"), ("", "b\n")]
    assert (etc / "a.conf").read_text() == "old\n"
    assert names(etc) == ["a.conf"]


def test_makes_directories_first(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    module = Module(tmp_path, {etc / "x" / "a": "a\n"}, directories=[str(etc / "x")])
    assert rendered_files.put(module)["changed"]
    assert not rendered_files.put(module)["changed"]
    assert (etc / "x").stat().st_mode & 0o777 == 0o755


def test_one_refused_file_leaves_all_as_they_were(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    (etc / "a.conf").write_text("good\n")
    (etc / "b.conf").write_text("good\n")
    module = Module(tmp_path, {etc / "a.conf": "good too\n", etc / "b.conf": "bad\n"}, validate="grep -q good %s")
    with pytest.raises(rendered_files.RefusedError, match=r"grep refuses the new .*b\.conf"):
        rendered_files.put(module)
    assert (etc / "a.conf").read_text() == (etc / "b.conf").read_text() == "good\n"
    assert names(etc) == ["a.conf", "b.conf"]


def test_the_check_sees_the_files_as_they_are_going_to_be(
    rendered_files: ModuleType, etc: Path, tmp_path: Path
) -> None:
    (etc / "theirs").write_text("theirs\n")
    (etc / "old.conf").write_text(MARKED)
    seen = tmp_path / "seen"
    command = f"sh -c 'ls -A %s > {seen}; cat %s/a.conf %s/theirs >> {seen}; grep -q good %s/a.conf'"
    check = {"directory": str(etc), "command": command}
    pruned: dict[str, Any] = {"prune": [f"{etc}/*.conf"], "marker": "Ansible managed"}
    rendered_files.put(Module(tmp_path, {etc / "a.conf": "good\n"}, check=check, **pruned))
    assert seen.read_text().split() == ["a.conf", "theirs", "good", "theirs"]
    with pytest.raises(rendered_files.RefusedError, match=f"sh refuses the new {etc}, so no file was changed"):
        rendered_files.put(Module(tmp_path, {etc / "a.conf": "bad\n"}, check=check, **pruned))
    assert (etc / "a.conf").read_text() == "good\n"
    assert names(etc) == ["a.conf", "theirs"]


def apart(etc: Path, command: str) -> dict[str, Any]:
    apps = {"shop.conf": "shop", "shop.more": "shop", "blog.conf": "blog"}
    return {"of_apps": apps, "apart": True, "check": {"directory": str(etc), "command": command}}


def test_what_one_app_says_wrong_does_not_hold_up_the_others(
    rendered_files: ModuleType, etc: Path, tmp_path: Path
) -> None:
    (etc / "shop.conf").write_text("old\n")
    (etc / "shop.old").write_text(MARKED)
    complain = "sh -c '! grep -lw bad %s/*' >&2"
    files = {etc / "main": "good\n", etc / "shop.conf": "new\n", etc / "shop.more": "bad\n", etc / "blog.conf": "new\n"}
    pruned: dict[str, Any] = {"prune": [f"{etc}/*.old"], "marker": "Ansible managed"}
    result = rendered_files.put(Module(tmp_path, files, **apart(etc, complain), **pruned))
    assert list(result["refused"]) == ["shop"]
    assert f"{etc}/shop.more" in result["refused"]["shop"]
    assert result["files"] == [str(etc / "main"), str(etc / "blog.conf")]
    assert result["removed"] == []
    assert names(etc) == ["blog.conf", "main", "shop.conf", "shop.old"]
    assert (etc / "shop.conf").read_text() == "old\n"


def test_what_belongs_to_no_app_is_refused_whole(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    files = {etc / "main": "bad\n", etc / "shop.conf": "good\n"}
    with pytest.raises(rendered_files.RefusedError, match="so no file was changed"):
        rendered_files.put(Module(tmp_path, files, **apart(etc, "sh -c '! grep -lw bad %s/*' >&2")))
    assert names(etc) == []


def test_a_secret_is_written_and_not_shown(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    module = Module(tmp_path, {etc / "users": ""}, mode="0640")
    module.params["rendered"][0]["content"] = None
    module.params["secrets"] = {str(etc / "users"): MARKED + "s3cret\n"}
    result = rendered_files.put(module)
    assert (etc / "users").read_text() == MARKED + "s3cret\n"
    assert "s3cret" not in str(result)
    assert not rendered_files.put(module)["changed"]
    gone = rendered_files.put(Module(tmp_path, {}, prune=[f"{etc}/use*"], marker="Ansible managed"))
    assert gone["removed"] == [str(etc / "users")]
    assert "s3cret" not in str(gone)


def test_prunes_only_what_is_ours_and_not_asked_for(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    (etc / "gone.conf").write_text(MARKED)
    (etc / "theirs.conf").write_text("# by hand\n" + MARKED)
    (etc / "other").write_text(MARKED)
    module = Module(tmp_path, {etc / "a.conf": MARKED}, prune=[f"{etc}/*.conf"], marker="Ansible managed")
    assert rendered_files.put(module)["removed"] == [str(etc / "gone.conf")]
    assert names(etc) == ["a.conf", "other", "theirs.conf"]
    assert leftovers([f"{etc}/*"], "\0", []) == []


def test_files_are_on_the_disk_before_their_names_change(
    rendered_files: ModuleType, etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: order.append("sync"))
    rename = Path.rename

    def renamed(path: Path, target: Path) -> Path:
        order.append("rename")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    rendered_files.put(Module(tmp_path, {etc / "a": "a", etc / "b": "b"}))
    assert order == ["sync", "sync", "rename", "rename", "sync"]


def test_ansible_renders_each_app_once_and_text_stays_text(tmp_path: Path) -> None:
    out, templates = tmp_path / "out", tmp_path / "templates" / str(tmp_path / "out").lstrip("/")
    out.mkdir()
    templates.mkdir(parents=True)
    (templates / "main.conf.j2").write_text("# {{ ansible_managed }}\n{{ greeting }}\n")
    (templates / "app.conf.j2").write_text("{% if true %}\n{{ __app.key }}: {{ __app.value.text }} \\n\n{% endif %}\n")
    playbook = tmp_path / "play.yml"
    playbook.write_text((Path(__file__).parent / "rendered_files.yml").read_text())

    def run(*arguments: str) -> str:
        command = ["ansible-playbook", str(playbook), "-e", json.dumps({"out": str(out)}), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "WRITTEN main.conf blog.conf shop.conf more.conf." in run("--check", "--diff")
    assert names(out) == []
    assert "WRITTEN main.conf blog.conf shop.conf more.conf." in run()
    assert (out / "main.conf").read_text() == "# Ansible managed\nHello\n"
    assert (out / "more.conf").read_text() == "# Ansible managed\nBye\n"
    assert (out / "shop.conf").read_text() == "shop: {{ not }} \\ a template \\n\n"
    assert (out / "blog.conf").read_text() == "blog: plain \\n\n"
    assert "WRITTEN ." in run()


def test_what_nobody_has_applied_counts_as_changed_until_somebody_has(
    rendered_files: ModuleType, etc: Path, tmp_path: Path
) -> None:
    note = tmp_path / "state" / "pending" / "units"
    first, second = etc / "a.conf", etc / "b.conf"
    assert rendered_files.put(Module(tmp_path, {first: "a\n"}, pending=str(note)))["files"] == [str(first)]
    # The run dies here. The next one has another file to write.
    files = {first: "a\n", second: "b\n"}
    dry = rendered_files.put(Module(tmp_path, files, pending=str(note), check_mode=True))
    assert dry["files"] == [str(second), str(first)]
    assert note.read_text() == f"{first}\n"
    assert rendered_files.put(Module(tmp_path, files, pending=str(note)))["files"] == [str(second), str(first)]
    again = rendered_files.put(Module(tmp_path, files, pending=str(note)))
    assert again["changed"]
    assert again["files"] == [str(first), str(second)]
    assert again["diff"] == []
    note.unlink()
    assert not rendered_files.put(Module(tmp_path, files, pending=str(note)))["changed"]
    assert not note.exists()


def test_a_run_that_dies_in_between_leaves_no_file_unapplied(
    rendered_files: ModuleType, etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, files = tmp_path / "units", {etc / "a.conf": "a\n", etc / "b.conf": "b\n"}
    rename, renamed = Path.rename, list[Path]()

    def dies(self: Path, target: Path) -> Path:
        if target.parent == etc:
            if renamed:
                raise KeyboardInterrupt
            renamed.append(target)
        return rename(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            rendered_files.put(Module(tmp_path, files, pending=str(note)))
    assert [path.exists() for path in files] == [True, False]
    assert sorted(rendered_files.put(Module(tmp_path, files, pending=str(note)))["files"]) == list(map(str, files))


def test_a_refused_file_is_not_noted(rendered_files: ModuleType, etc: Path, tmp_path: Path) -> None:
    note = tmp_path / "units"
    with pytest.raises(CheckError, match=r"^false refuses the new "):
        rendered_files.put(Module(tmp_path, {etc / "a.conf": "a\n"}, "false %s", pending=str(note)))
    assert not note.exists()
