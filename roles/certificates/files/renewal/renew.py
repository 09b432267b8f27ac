"""The renewal of one app's certificate, from the question whether it is due to the web server's reload."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

from authority import RefusedError, ask
from certificate_pairs import ends, load_chain
from certificate_store import Store
from due import flaws, reason, renewal
from settings import Settings


class Marks:
    """Two notes that outlast a run: that an operator wants a new certificate, and that a reload is still to be done."""

    def __init__(self, settings: Settings) -> None:
        self.wanted = settings.state / settings.app / "renew"
        self.unloaded = settings.state / settings.app / "reload"


def reload(settings: Settings, mark: Path) -> None:
    """Have the web server read its certificates anew. Until it has, each run tries again.

    Raises:
        RefusedError: it does not.
    """
    if settings.reload:
        command = ["systemctl", "try-reload-or-restart", settings.reload]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            told = f"{result.stdout}{result.stderr}".strip()
            raise RefusedError(f"the new certificate is in place, but {settings.reload} does not reload:\n{told}")
    mark.unlink(missing_ok=True)


def state(store: Store) -> str:
    """What is served, in words."""
    try:
        served = store.certificate.read_bytes()
        end = ends(load_chain(served)[0])
    except (OSError, ValueError, IndexError):
        return "Nothing is served over TLS."
    if not store.serving().startswith("acme-"):
        return f"Until there is one, visitors get what stood there before, which ends on {end:%Y-%m-%d %H:%M} UTC."
    return f"The one that ends on {end:%Y-%m-%d %H:%M} UTC goes on serving."


def renew(settings: Settings, now: dt.datetime) -> str:
    """Renew the certificate where that is due; what was done, in words.

    Raises:
        RefusedError: there is no new certificate; what was served goes on being served.
    """
    store, marks = Store(settings.certificates, settings.app), Marks(settings)
    marks.wanted.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if marks.unloaded.exists():
        reload(settings, marks.unloaded)
    why = "asked for by an operator" if marks.wanted.exists() else ""
    why = why or reason(store, settings.domains, settings.directory, now)
    if not why:
        due, end = renewal(store.certificate.read_bytes()), ends(load_chain(store.certificate.read_bytes())[0])
        return f"Nothing to do: it ends on {end:%Y-%m-%d %H:%M} UTC and is due from {due:%Y-%m-%d %H:%M} UTC on."
    print(f"Asking {settings.directory} for a certificate for {', '.join(settings.domains)}: {why}", flush=True)
    certificate, key = ask(settings)
    if wrong := flaws(certificate, key, settings.domains, now):
        raise RefusedError("The authority's answer is no good: " + "; ".join(wrong))
    marks.unloaded.touch()
    store.put(f"acme-{now:%Y%m%dT%H%M%SZ}", certificate, key, settings.directory)
    marks.wanted.unlink(missing_ok=True)
    reload(settings, marks.unloaded)
    store.prune()
    end, due = ends(load_chain(certificate)[0]), renewal(certificate)
    return f"There is a new certificate, until {end:%Y-%m-%d %H:%M} UTC, due from {due:%Y-%m-%d %H:%M} UTC on."
