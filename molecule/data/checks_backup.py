"""Backups of the apps' data: rows that come back, drills, whatever may go wrong, a host that is lost."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from molecule.shared.podman import podman
from molecule.shared.vps import Vps
from molecule.shared.waiting import until

from .guestbook import Guestbook, apps

KINDS = ["onsqlite", "onpostgres"]
REPOSITORY = "/var/backups/slipway"
CONFIG = "/etc/slipway/backup.json"
SCREEN = 60
FILL = """
INSERT INTO entries (name, message, created_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
SELECT 'Ada', 'entry ' || i, CURRENT_TIMESTAMP FROM n
"""
ROWS = "SELECT id, message FROM entries ORDER BY id"


@pytest.fixture(scope="module")
def books(vps: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guestbook]:
    """The apps, each with something to lose."""
    found = {name: Guestbook(vps, name, tmp_path_factory.mktemp(name)) for name in KINDS}
    for book in found.values():
        book.await_ready()
        change(book, FILL)
    return found


@pytest.fixture(scope="module", params=KINDS)
def book(request: pytest.FixtureRequest, books: dict[str, Guestbook]) -> Guestbook:
    return books[request.param]


def screen(done: Any) -> str:
    return "\n".join(done.stdout.splitlines()[-SCREEN:])


class Host:
    """The VPS as its operator has it.

    Args:
        vps: the test VPS.
    """

    def __init__(self, vps: Any) -> None:
        self.vps = vps

    def slipway(self, *words: str, config: str = "", fault: str = "") -> tuple[int, Any]:
        """What the host's program answers, and its exit code."""
        variables = [f"SLIPWAY_BACKUP={config}"] * bool(config) + [f"SLIPWAY_FAULT={fault}"] * bool(fault)
        command = shlex.join(["env", *variables, "slipway", "--json", *words])
        done = subprocess.run([*self.vps.ssh, command], capture_output=True, text=True, check=False)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {"msg": done.stdout + done.stderr}

    def done(self, *words: str, **given: str) -> Any:
        code, answer = self.slipway(*words, **given)
        assert code == 0, answer["msg"]
        return answer

    def refused(self, *words: str, **given: str) -> str:
        code, answer = self.slipway(*words, **given)
        assert code != 0, answer
        return str(answer["msg"])

    def status(self, app: str) -> Any:
        # As a monitoring agent reads it, which is nobody in particular.
        path = f"/var/lib/slipway/backup/status/{app}.json"
        return json.loads(self.vps.run("runuser", "-u", "nobody", "--", "cat", path))

    def config(self, name: str, **changes: Any) -> str:
        """Another configuration than the host's own."""
        path = f"/root/{name}.json"
        data = json.loads(self.vps.run("cat", CONFIG)) | changes
        self.vps.run("sh", "-c", f"echo {shlex.quote(json.dumps(data))} >{path}")
        return path

    def restic(self, *words: str, repository: str = REPOSITORY) -> str:
        variables = ["RESTIC_PASSWORD_FILE=/etc/slipway/backup.password", "RESTIC_CACHE_DIR=/var/cache/slipway/restic"]
        return str(self.vps.run("env", *variables, "restic", "-r", repository, *words))


@pytest.fixture(scope="module")
def host(vps: Any) -> Host:
    return Host(vps)


def rows(book: Guestbook) -> dict[str, str]:
    """A hash of the content of each row, by its number."""
    lines = [line.partition("|") for line in book.sql(ROWS)]
    return {number: hashlib.sha256(text.encode()).hexdigest() for number, _, text in lines}


def change(book: Guestbook, statement: str) -> None:
    """Change the data behind the app's back, as its own user."""
    if book.given.get("database") == "postgresql":
        book.psql(statement, user=book.name)
        return
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    path = f"/srv/{book.name}/shared/{book.name}.db"
    book.vps.run("runuser", "-u", book.name, "--", "python3", "-c", code, path, statement)


def destroy(book: Guestbook) -> None:
    for table in ("entries", "alembic_version"):
        change(book, f"DROP TABLE {table}")


def state(book: Guestbook) -> tuple[str, str, dict[str, str]]:
    """What nothing that is refused may change."""
    return book.release(), book.vps.run("stat", "-c", "%i", f"/srv/{book.name}/shared"), rows(book)


def litter(book: Guestbook) -> str:
    """What a backup or a restore has left behind that nobody asked it to."""
    base = f"/srv/{book.name}"
    work = f"/var/lib/slipway/backup/.work/{book.name}"
    named = ["-name", "restore.json", "-o", "-name", ".restoring", "-o", "-name", "transaction.json"]
    found = book.vps.run("find", base, "-maxdepth", "1", *named)
    found += book.vps.run("find", work, "-mindepth", "1", "-not", "-name", "lock")
    if book.given.get("database") == "postgresql":
        found += "".join(book.psql("SELECT datname FROM pg_database WHERE datname ~ '[.](new|drill)$'"))
    return str(found)


# -- there and back


def test_it_runs_by_itself(vps: Any) -> None:
    timers = vps.run("systemctl", "list-timers", "--all", "--no-legend", "--output=json", "slipway-*")
    units = {timer["unit"] for timer in json.loads(timers)}
    assert {"slipway-backup.timer", "slipway-backup-check.timer", "slipway-drill.timer"} <= units
    assert vps.run("stat", "-c", "%a", "/etc/slipway/backup.password", CONFIG) == "600\n600"


def test_rows_that_were_committed_before_the_backup_come_back(book: Guestbook, host: Host) -> None:
    with book.visitors():
        until(lambda: len(rows(book)) > 50, "visitors to have signed")
        before = rows(book)
        done = book.vps.playbook("playbooks/backup.yml", "-e", f"app={book.name}")
        assert done.returncode == 0, screen(done)
    taken = host.status(book.name)["backup"]["backup"]
    assert taken in done.stdout
    destroy(book)
    assert book.ready()[0] == 503
    done = book.vps.playbook("playbooks/restore.yml", "-e", f"app={book.name}")
    assert done.returncode == 0, screen(done)
    assert taken in done.stdout
    after = rows(book)
    assert before.items() <= after.items(), "rows are missing or are not what they were"
    book.await_ready()
    with book.visitors():
        until(lambda: len(rows(book)) > len(after), "visitors to sign again")
    assert litter(book) == ""
    # What it replaced is at hand until somebody says otherwise.
    kept = host.done("restored", book.name)[-1]
    book.vps.run("test", "-d", kept["files"])
    host.done("restored", book.name, "--forget-old")
    assert host.done("restored", book.name) == []
    assert book.vps.run("ls", f"/srv/{book.name}").find("replaced") == -1


def test_a_drill_tells_what_it_saw(book: Guestbook, host: Host) -> None:
    host.done("backup", book.name)
    before = state(book)
    (done,) = host.done("drill", book.name)
    assert done["rows"] == len(rows(book))
    about = host.status(book.name)
    assert about["drill"]["result"] == "ok"
    assert about["last_good_drill"]["backup"] == about["backup"]["backup"]
    assert state(book) == before
    assert litter(book) == ""


def test_a_deploy_that_migrates_leaves_a_way_back(book: Guestbook, host: Host) -> None:
    if book.migration() != ["0001"]:
        pytest.fail(f"somebody has migrated {book.name} already")
    first, before = book.release(), rows(book)
    adds = 'with op.batch_alter_table("entries") as table:\n    table.add_column(sa.Column("way", sa.String(9)))'
    done = book.deploy(book.version(m0002=f"{adds}\nop.execute(\"UPDATE entries SET message = 'changed'\")"))
    assert done.returncode == 0, screen(done)
    said = host.refused("rollback", book.name)
    command = said.partition("was then: ")[2].partition(". Nothing was changed")[0]
    assert command.startswith(f"slipway restore {book.name} --backup "), said
    # Without the release that fits, it would be given to one that was not written for it.
    assert "written for 0002" in host.refused(*command.split()[1:-2])
    host.done(*command.split()[1:])
    assert book.release() == first
    assert rows(book) == before
    assert book.migration() == ["0001"]
    book.await_ready()
    host.done("restored", book.name, "--forget-old")


# -- what may go wrong


def craft(book: Guestbook, host: Host, spoil: str) -> str:
    """A repository whose newest backup is spoilt by a command that runs where its copies are."""
    staging = f"/var/lib/slipway/backup/.work/{book.name}/staging"
    place = f"/root/spoilt-{book.name}"
    host.vps.run("rm", "-rf", place)
    host.vps.run("cp", "-a", REPOSITORY, place)
    newest = json.loads(host.restic("snapshots", "--json", "--tag", f"app={book.name},kind=manual"))[-1]
    host.restic("restore", newest["short_id"], "--target", "/", "--include", staging)
    host.vps.run("env", "-C", staging, "sh", "-c", spoil)
    tags = ["--tag", ",".join(newest["tags"]), "--host", newest["hostname"]]
    host.restic("backup", *tags, staging, f"/srv/{book.name}/shared", repository=place)
    host.vps.run("rm", "-rf", staging)
    return host.config(f"spoilt-{book.name}", repository=place, wait=5)


DUMP = "$(find . -type f ! -name manifest.json)"
# tests/slipway/test_restore.py has more of them.
SPOILT = {
    "truncated": ("onpostgres", f'truncate -s -100 "{DUMP}"', "is cut off"),
    "emptied": ("onpostgres", f': >"{DUMP}"', "is empty: the copy of the database"),
    "half-written": ("onsqlite", "truncate -s 100 manifest.json", "is not whole: its manifest.json"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_backup_is_told_from_a_good_one(books: dict[str, Guestbook], host: Host, kind: str) -> None:
    name, command, said = SPOILT[kind]
    book = books[name]
    config = craft(book, host, command)
    before = state(book)
    assert said in host.refused("drill", book.name, config=config)
    about = host.status(book.name)["drill"]
    assert about["result"] == "failed"
    assert said in about["reason"]
    assert said in host.refused("restore", "--check-only", book.name, config=config)
    assert state(book) == before
    assert litter(book) == ""


def test_a_backup_of_an_emptied_database_is_not_good(books: dict[str, Guestbook], host: Host) -> None:
    book = books["onsqlite"]
    kept = host.done("backup", book.name)[0]["backup"]
    change(book, "DELETE FROM entries")
    host.done("backup", book.name)
    host.done("restore", book.name, "--backup", kept)
    assert "is empty, while the database holds" in host.refused("drill", book.name)
    host.done("restored", book.name, "--forget-old")
    host.done("backup", book.name)
    host.done("drill", book.name)


def test_a_wrong_password_a_missing_repository_and_a_missing_backup_are_named(
    books: dict[str, Guestbook], host: Host
) -> None:
    book = books["onpostgres"]
    before = state(book)
    host.vps.run("sh", "-c", "echo wrong >/root/wrong.password")
    wrong = host.config("wrong", password_file="/root/wrong.password")  # noqa: S106 - where it is
    gone = host.config("gone", repository="/var/backups/nowhere")
    for words in (["drill", book.name], ["restore", "--check-only", book.name], ["backups", book.name]):
        assert "password does not open" in host.refused(*words, config=wrong)
        assert "There is no repository at" in host.refused(*words, config=gone)
    assert "password does not open" in host.refused("backup", book.name, config=wrong)
    assert "There are:" in host.refused("restore", book.name, "--at", "2020-01-01T00:00")
    assert "is no time" in host.refused("restore", book.name, "--at", "yesterday")
    assert "no backup 0badcafe" in host.refused("restore", book.name, "--backup", "0badcafe")
    assert "no app 'nobody' on this host" in host.refused("restore", "nobody")
    assert state(book) == before
    assert litter(book) == ""


def test_the_playbook_says_which_apps_there_are(vps: Any) -> None:
    done = vps.playbook("playbooks/restore.yml", "-e", "app=shp")
    assert done.returncode != 0
    assert f"-e app=NAME, with one of {', '.join(sorted(apps()))}" in " ".join(done.stdout.split())
    assert "Make a bare host ready" not in done.stdout


def test_room_is_looked_for_before_anything_is_begun(books: dict[str, Guestbook], host: Host) -> None:
    book = books["onpostgres"]
    work = "/var/lib/slipway/backup/.work"
    before = state(book)
    host.vps.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", work)
    try:
        assert "free, and a copy of the databases may need" in host.refused("backup", book.name)
    finally:
        host.vps.run("umount", work)
    assert state(book) == before
    assert litter(book) == ""


def test_a_failure_shows_and_calls_the_hook(vps: Any) -> None:
    vps.run("rm", "-f", "/run/backup-failed")
    vps.run("cp", "/etc/slipway/backup.password", "/root/right.password")
    try:
        vps.run("sh", "-c", "echo wrong >/etc/slipway/backup.password")
        vps.run("systemctl", "start", "slipway-backup.service", check=False)
        assert "slipway-backup.service" in vps.run("systemctl", "list-units", "--failed", "--no-legend", "--plain")
        told = until(lambda: vps.run("cat", "/run/backup-failed", check=False), "the hook to run")
        assert "password does not open" in told
        assert "slipway-backup.service" in told
    finally:
        vps.run("cp", "/root/right.password", "/etc/slipway/backup.password")
    units = ["slipway-backup.service", "slipway-drill.service", "slipway-backup-check.service"]
    vps.run("systemctl", "start", *units, check=False)
    failed = vps.run("systemctl", "list-units", "--failed", "--no-legend", "--plain", "slipway-*")
    assert failed == "", vps.run("journalctl", "--no-pager", "--lines=60", *(f"--unit={unit}" for unit in units))


# -- killed


# tests/slipway/test_restore.py has them all.
POINTS = [("onsqlite", "swap:exchanged"), ("onpostgres", "swap:database"), ("onpostgres", "swap:good")]


def freeze(book: Guestbook, host: Host, point: str) -> subprocess.Popen[str]:
    """A restore that stands still at a point."""
    command = f"SLIPWAY_FAULT={point} slipway restore {book.name}"
    pipe = subprocess.PIPE
    session = subprocess.Popen([*host.vps.ssh, command], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert session.stderr is not None
    said = session.stderr.readline()
    assert f"frozen at {point}" in said, said
    return session


@pytest.mark.parametrize(("name", "point"), POINTS)
def test_killed_the_app_serves_one_whole_set_of_data(
    books: dict[str, Guestbook], host: Host, name: str, point: str
) -> None:
    book = books[name]
    host.done("backup", book.name)
    backed_up = rows(book)
    change(book, "DELETE FROM entries WHERE id IN (SELECT max(id) FROM entries)")
    before = rows(book)
    session = freeze(book, host, point)
    unit = f"slipway-restore-{book.name}.service"
    host.vps.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", unit)
    session.communicate(timeout=120)
    book.await_ready()
    assert rows(book) == (backed_up if point == "swap:good" else before)
    host.done("restore", book.name)
    assert rows(book) == backed_up
    book.await_ready()
    host.done("restored", book.name, "--forget-old")
    assert litter(book) == ""


def test_a_machine_that_dies_in_the_swap_comes_back_with_the_data_it_had(
    books: dict[str, Guestbook], host: Host
) -> None:
    book = books["onpostgres"]
    host.done("backup", book.name)
    change(book, "DELETE FROM entries WHERE id IN (SELECT max(id) FROM entries)")
    before = rows(book)
    session = freeze(book, host, "swap:exchanged")
    host.vps.hang_up()
    podman("kill", "--signal=KILL", host.vps.name)
    podman("start", host.vps.name)
    session.kill()
    session.communicate()
    book.await_ready()
    assert rows(book) == before
    assert litter(book) == ""


# -- elsewhere


@pytest.fixture
def elsewhere(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The role's variables for a repository behind an SFTP server, which is the VPS's own."""
    scratch = tmp_path_factory.mktemp("elsewhere")
    key = scratch / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "backups", "-f", str(key)], check=True)
    keys = "/root/.ssh/authorized_keys"
    public = key.with_suffix(".pub").read_text().strip()
    host.vps.run("sh", "-c", f"echo {shlex.quote(public)} >>{keys}")
    host_key = " ".join(host.vps.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    variables = {"backup_repository": "sftp://root@127.0.0.1:22//root/elsewhere", "backup_ssh_host_key": host_key}
    path = scratch / "variables.json"
    path.write_text(json.dumps(variables | {"backup_ssh_key": key.read_text()}))
    yield path
    host.vps.run("sed", "-i", "/ backups$/d", keys)


def test_a_repository_may_be_behind_an_sftp_server(host: Host, elsewhere: Path, tmp_path: Path) -> None:
    book = Guestbook(host.vps, "onpostgres", tmp_path)
    play = tmp_path / "play.yml"
    play.write_text("[{hosts: all, become: true, gather_facts: false, roles: [backup]}]\n")
    try:
        done = host.vps.playbook(str(play), "-e", f"@{elsewhere}", "--diff")
        assert done.returncode == 0, screen(done)
        assert "PRIVATE KEY" not in done.stdout
        host.done("backup", book.name)
        assert "config" in host.vps.run("ls", "/root/elsewhere")
        host.done("drill", book.name)
        host.vps.run("sh", "-c", "echo 'repository ssh-ed25519 AAAA' >/etc/slipway/backup.known_hosts")
        assert "Is backup_ssh_host_key the server's key" in host.refused("drill", book.name)
    finally:
        assert host.vps.playbook(str(play)).returncode == 0


def test_a_host_that_is_lost_comes_back_from_the_repository(
    books: dict[str, Guestbook], host: Host, vps: Any, tmp_path: Path
) -> None:
    # Whatever other checks have made of them: what comes back is the apps of the inventory.
    assert vps.playbook("playbooks/deploy.yml").returncode == 0
    host.done("backup")
    before = {name: rows(book) for name, book in books.items()}
    with (tmp_path / "repository.tar").open("wb") as stream:
        subprocess.run([*vps.ssh, f"tar -C {REPOSITORY} -c ."], stdout=stream, check=True)
    for playbook in ("destroy", "create", "prepare", "describe"):
        done = vps.playbook(f"molecule/shared/{playbook}.yml")
        assert done.returncode == 0, screen(done)
    # The new one has an address of its own.
    vps = Vps.read(Path(vps.keys) / "vps.json")
    with (tmp_path / "repository.tar").open("rb") as stream:
        subprocess.run([*vps.ssh, f"mkdir -p {REPOSITORY} && tar -C {REPOSITORY} -x"], stdin=stream, check=True)
    for name in books:
        book = Guestbook(vps, name, tmp_path)
        done = vps.playbook("playbooks/restore.yml", "-e", f"app={name}")
        assert done.returncode == 0, screen(done)
        assert rows(book) == before[name]
        book.await_ready()
