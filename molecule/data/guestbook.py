"""One of the scenario's apps: its versions, its deploys, its visitors, its data."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from molecule.shared.program import Program, RefusedError
from molecule.shared.program import apps as filled_in
from molecule.shared.waiting import until

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
# Of what the apps are, without who runs here meanwhile.
LITTER = shutil.ignore_patterns(".venv", "instance", "__pycache__", "tests")


def apps() -> dict[str, Any]:
    """What the inventory says of each app."""
    inventory = yaml.safe_load((HERE / "inventory" / "hosts.yml").read_text())
    return dict(inventory["local"]["hosts"]["vps"]["apps"])


def provide(vps: Any, scratch: Path, *arguments: str, **role: Any) -> str:
    """Run the role postgresql alone, or its tasks that take an app's database away; returns what Ansible said.

    Args:
        vps: the test VPS.
        scratch: a directory for the play.
        arguments: of ansible-playbook.
        role: the role's variables.

    Raises:
        AssertionError: it failed.
    """
    # What group_vars would say takes a filter of the preflight's, which does not come along.
    role.setdefault("postgresql_apart", [])
    include = {"name": "postgresql", **({"tasks_from": "absent"} if "postgresql_absent" in role else {})}
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": include, "vars": role}]}
    path = scratch / "postgresql.yml"
    path.write_text(json.dumps([play]))
    done = vps.playbook(str(path), *arguments)
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


class Guestbook:
    """An app.

    Args:
        vps: the test VPS.
        name: the app's.
        scratch: a directory for its versions.
    """

    def __init__(self, vps: Any, name: str, scratch: Path) -> None:
        self.vps = vps
        self.name = name
        self.domain = f"{name}.localhost"
        self.scratch = scratch
        self.given = apps()[name]
        self.slipway = Program(vps, scratch)

    @cached_property
    def whole(self) -> dict[str, Any]:
        """What the inventory says of it, with its secrets filled in."""
        return dict(filled_in(self.vps)[self.name])

    # -- versions and deploys

    def version(self, **migrations: str) -> Path:
        """A new version of its source, with migrations by number: the text of each `upgrade`.

        Each follows upon the one whose number is one less; the second can be undone.
        """
        tree = self.scratch / f"{self.name}-{time.time_ns()}"
        shutil.copytree(PROJECT / "app", tree, ignore=LITTER)
        for key, body in migrations.items():
            number = int(key.removeprefix("m"))
            lines = [f'"""{number:04}"""', "import sqlalchemy as sa", "from alembic import op"]
            lines += [f'revision, down_revision = "{number:04}", "{number - 1:04}"', "def upgrade():"]
            lines += [f"    {line}" for line in body.splitlines()]
            lines += ["def downgrade():", '    op.execute("ALTER TABLE entries DROP COLUMN mood")']
            (tree / f"migrations/versions/{number:04}_{key}.py").write_text("\n".join(lines) + "\n")
        (tree / "version.txt").write_text(tree.name)
        return tree

    def deploy(self, source: Path) -> subprocess.CompletedProcess[str]:
        """Deploy this app alone, as playbooks/deploy.yml does; the output is what a user would read of a failure."""
        app = {**self.whole, "source": {"path": str(source)}}
        try:
            said = json.dumps(self.slipway.deploy(self.name, app))
        except RefusedError as refused:
            return subprocess.CompletedProcess([], 2, str(refused), "")
        return subprocess.CompletedProcess([], 0, said, "")

    def play(self, playbook: Path, source: Path, *without: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook for this app alone, `without` some of what the inventory says of it."""
        said = {key: value for key, value in self.given.items() if key not in without}
        variables = self.scratch / f"{self.name}.json"
        variables.write_text(json.dumps({"apps": {self.name: {**said, "source": {"path": str(source)}}}}))
        done: subprocess.CompletedProcess[str] = self.vps.playbook(str(playbook), "-e", f"@{variables}")
        return done

    def undo(self) -> None:
        """Take the migrations back that the app itself does not know; what serves goes on serving."""
        if self.migration() != ["0001"]:
            self.vps.run("slipway", "run", self.name, "flask", "--app", "wsgi", "db", "downgrade", "0001")

    def release(self) -> str:
        return str(self.vps.release(self.name))

    # -- visitors

    @contextlib.contextmanager
    def visitors(self) -> Iterator[list[dict[str, Any]]]:
        """Let visitors read and sign while the block runs; afterwards the list holds every request of theirs."""
        with self.vps.guests(self.domain, self.scratch / f"load-{time.time_ns()}.jsonl") as records:
            yield records

    def ready(self) -> tuple[int, Any]:
        """What /readyz answers: its status, and what it says of the database."""
        answer = self.vps.https(self.domain, "/readyz")
        try:
            return answer.status, json.loads(answer.body)["checks"]["database"]
        except (ValueError, KeyError):
            return answer.status, answer.body

    def alive(self) -> bool:
        return bool(self.vps.https(self.domain, "/healthz").status == 200)

    def await_ready(self) -> None:
        until(lambda: self.ready() == (200, "ok"), f"{self.name} to be ready again")

    # -- data, past the app

    def sql(self, statement: str) -> list[str]:
        """What a statement gives, a line a row with `|` between columns."""
        if self.given.get("database") == "postgresql":
            return self.psql(statement)
        code = "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(*row, sep='|')"
        path = f"/srv/{self.name}/shared/{self.name}.db"
        return str(self.vps.run("python3", "-c", code, path, statement)).splitlines()

    def psql(self, statement: str, *, user: str = "postgres") -> list[str]:
        command = ["runuser", "-u", user, "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.name, "-c"]
        return str(self.vps.run("env", "-C", "/", *command, statement)).splitlines()

    def columns(self) -> list[str]:
        if self.given.get("database") == "postgresql":
            columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            return self.sql(f"{columns} ORDER BY 1, 2")
        tables = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        return self.sql(f"{tables} ORDER BY 1, 2")

    def messages(self) -> set[str]:
        return set(self.sql("SELECT message FROM entries"))

    def migration(self) -> list[str]:
        return self.sql("SELECT version_num FROM alembic_version")
