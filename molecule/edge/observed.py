"""The app `observer`: what reached it, beside what nginx wrote of it."""

from __future__ import annotations

import json
import re
import secrets
from collections import defaultdict
from typing import Any

from .client import Answer, Client
from .smuggling import HOST

DOMAIN = HOST.decode()
# nginx's "combined"; what the app answers is always a 200.
LOGGED = re.compile(r'\] "(?P<method>\S+) (?:https?://[^/ ]+)?(?P<target>/seen/\S*)[^"]*" 200 ')


class Observer:
    """Asks the app, and reads what it saw in the journal."""

    def __init__(self, vps: Any) -> None:
        self._vps = vps
        self.client = Client(vps.address, vps.https_port, DOMAIN, vps.authority)
        # In the path of all that is sent, so that nobody else's requests are counted.
        self.run = secrets.token_hex(4)

    def ask(self, head: bytes, body: bytes = b"") -> Answer:
        """The one answer to a request; Host and the end of the headers are added."""
        line, _, headers = head.partition(b"\r\n")
        data = b"\r\n".join([line, b"Host: " + HOST, *([headers] if headers else []), b"", body])
        answers = self.client.raw(data, 1)
        assert len(answers) == 1, f"{len(answers)} answers to {head[:200]!r}"
        return answers[0]

    def _sightings(self) -> list[dict[str, Any]]:
        said = self._vps.run("journalctl", "-o", "cat", "-u", "observer@*", "-g", f"/seen/{self.run}/", check=False)
        return [json.loads(line)["seen"] for line in said.splitlines() if line.startswith('{"seen"')]

    def sightings(self) -> dict[str, list[dict[str, Any]]]:
        """What the app saw, by the name of the case, oldest first."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._sightings():
            found[row["target"].split("/")[3]].append(row)
        return found

    def seen(self) -> list[str]:
        """All that the app saw."""
        return sorted(f"{row['method']} {row['target']}" for row in self._sightings())

    def logged(self) -> list[str]:
        """What nginx's access log says of the same requests."""
        lines = self._vps.run("cat", "/var/log/nginx/access.log").splitlines()
        return sorted(
            f"{found['method']} {found['target']}"
            for line in lines
            if f"/seen/{self.run}/" in line and (found := LOGGED.search(line))
        )
