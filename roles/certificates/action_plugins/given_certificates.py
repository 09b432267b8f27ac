"""The controller's half of `given_certificates`: reads what was given, and lets only what is right go to the host."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible loads a plugin by its path and knows no package around it.
sys.path.append(str(Path(__file__).resolve().parent.parent / "module_utils"))
from certificate_pairs import ends, load_chain, problems

SOON = dt.timedelta(days=30)
PARTS = ("certificate", "key")


class ActionModule(ActionBase):
    """Runs the `given_certificates` task; see the module of the same name for its options."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        pairs: dict[str, dict[str, str]] = {}
        wrong: list[str] = []
        for app, given in arguments["certificates"].items():
            pairs[app] = {}
            found = list(self._problems(app, given, Path(arguments["root"]), pairs[app]))
            wrong += [f"apps.{app}.tls.{part}: {text}" for part, text in found]
        if wrong:
            title = f"No certificate was changed: {len(wrong)} to put right in what was given"
            return result | {"failed": True, "msg": "\n  - ".join([title, *wrong])}
        call = {"directory": arguments["directory"], "pairs": pairs}
        return result | dict(self._execute_module("given_certificates", module_args=call, task_vars=task_vars))

    def _problems(self, app: str, given: dict[str, Any], root: Path, pair: dict[str, str]) -> Iterator[tuple[str, str]]:
        """What is wrong with one app's; `pair` gets the texts."""
        for part in PARTS:
            try:
                pair[part] = self._text(str(given[part]), root)
            except (AnsibleError, OSError, ValueError):
                # The reason may quote what was read.
                yield part, f"cannot be read from {root / str(given[part])} on this machine"
        if len(pair) < len(PARTS):
            return
        yield from problems(
            pair["certificate"].encode(), pair["key"].encode(), given["domains"], dt.datetime.now(dt.UTC)
        )
        self._warn(app, pair["certificate"])

    def _text(self, given: str, root: Path) -> str:
        """PEM, from a file where it is not itself what was given."""
        text = given if "-----BEGIN " in given else self._loader.get_text_file_contents(str(root / given))
        return str(text).strip() + "\n"

    def _warn(self, app: str, certificate: str) -> None:
        """Nothing renews what was given, so somebody has to hear of its end in time."""
        try:
            left = min(ends(found) for found in load_chain(certificate.encode())) - dt.datetime.now(dt.UTC)
        except ValueError:
            return
        if dt.timedelta() < left < SOON:
            Display().warning(f"apps.{app}.tls.certificate ends in {left.days} days, and only you can renew it.")
