"""As much of restic as its callers' tests need: it keeps copies of directories, and says what restic 0.14 says."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HOME = Path()
SECRET = ""


def die(text: str, code: int = 1) -> None:
    print(text, file=sys.stderr)
    raise SystemExit(code)


def opened() -> None:
    if not (HOME / "config").exists():
        die(f"Fatal: unable to open config file: stat {HOME}/config\nIs there a repository at the following location?")
    if (HOME / "config").read_text() != SECRET:
        die("Fatal: wrong password or no key found")
    if (HOME / "locked").exists():
        die("Fatal: unable to create lock in backend: repository is already locked by PID 1 on elsewhere")


def all_of(words: list[str], option: str) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == option]


def snapshots() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((HOME / "snapshots").glob("*.json"))]


def fitting(words: list[str]) -> list[dict[str, Any]]:
    wanted = {tag for tags in all_of(words, "--tag") for tag in tags.split(",")}
    host = all_of(words, "--host")
    return [item for item in snapshots() if wanted <= set(item["tags"]) and (not host or item["hostname"] == host[0])]


def backup(words: list[str]) -> None:
    # In the order in which they were made, as restic lists those of one second.
    name = f"{len(list((HOME / 'data').glob('*'))):04x}{uuid.uuid4().hex}"
    target = HOME / "data" / name
    excluded = {word.replace("\\", "") for word in all_of(words, "--exclude")}
    paths = words[words.index("--") + 1 :]
    for path in map(Path, paths):
        ignore = lambda folder, names: {n for n in names if str(Path(folder, n)) in excluded}  # noqa: E731
        shutil.copytree(path, target / path.relative_to("/"), symlinks=True, ignore=ignore)
    at = datetime.strptime(all_of(words, "--time")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    about = {"id": name, "time": at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"), "paths": paths}
    about |= {"hostname": all_of(words, "--host")[0], "tags": all_of(words, "--tag")[0].split(",")}
    (HOME / "snapshots" / f"{name}.json").write_text(json.dumps(about))
    print(json.dumps({"message_type": "summary", "snapshot_id": name[:8]}))
    if (HOME / "unreadable").exists():
        die('{"message_type":"error","error":{"Op":"read","Err":"input/output error"},"item":"/x"}', 3)


def found(name: str) -> Path:
    for item in snapshots():
        if str(item["id"]).startswith(name):
            return HOME / "data" / str(item["id"])
    die(f'invalid id "{name}": no matching ID found for prefix "{name}"')
    raise AssertionError


def forget(words: list[str]) -> None:
    if not words[1].startswith("--"):
        (item,) = [item for item in snapshots() if str(item["id"]).startswith(words[1])]
        (HOME / "snapshots" / f"{item['id']}.json").unlink()
        return
    newest = sorted(fitting(words), key=lambda item: str(item["time"]))
    kept = set(all_of(words, "--keep-tag"))
    last = int(all_of(words, "--keep-last")[0])
    gone = [item for item in newest[:-last] if not kept & set(item["tags"])]
    for item in gone:
        (HOME / "snapshots" / f"{item['id']}.json").unlink()
    print(json.dumps([{"remove": gone or None}]))


def run(words: list[str], *, repository: Path, password: str) -> subprocess.CompletedProcess[str]:
    """Do what a command line asks for."""
    global HOME, SECRET
    HOME, SECRET = repository, password
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            _main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def _main(words: list[str]) -> None:
    verb = words[0]
    if verb == "unlock":
        if (HOME / "locked").exists() and (HOME / "locked").read_text() == "stale":
            (HOME / "locked").unlink()
        return
    if verb == "init":
        (HOME / "snapshots").mkdir(parents=True)
        (HOME / "config").write_text(SECRET)
        return
    opened()
    if verb == "backup":
        backup(words)
    elif verb == "snapshots":
        print(json.dumps(fitting(words)))
    elif verb == "dump":
        path = found(words[1]) / words[2].lstrip("/")
        if not path.exists():
            die(f'cannot dump file: path "{words[2]}" not found in snapshot')
        sys.stdout.write(path.read_text())
    elif verb == "restore":
        source = found(words[1]) / all_of(words, "--include")[0].lstrip("/")
        if source.exists():
            shutil.copytree(
                source, Path(all_of(words, "--target")[0]) / source.relative_to(found(words[1])), symlinks=True
            )
    elif verb == "forget":
        forget(words)
