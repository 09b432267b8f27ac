"""When a certificate has to be asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from certificate_pairs import ends, load_chain, names, problems, starts
from certificate_store import Store

# Of its lifetime: day 60 of 90, 30 of 45, 4 of 6.
RENEW_AFTER = 2 / 3


def renewal(certificate: bytes) -> dt.datetime:
    """The moment from which on a certificate, in PEM form, is to be renewed."""
    first = load_chain(certificate)[0]
    return starts(first) + (ends(first) - starts(first)) * RENEW_AFTER


def flaws(certificate: bytes, key: bytes, domains: Sequence[str], now: dt.datetime) -> list[str]:
    """What speaks against serving what an authority has given; that its clock is ahead of ours does not."""
    chain = load_chain(certificate)
    reached = max(now, *map(starts, chain)) if chain else now
    return [f"the {part} {text}" for part, text in problems(certificate, key, domains, reached)]


def reason(store: Store, domains: Sequence[str], directory: str, now: dt.datetime) -> str:
    """Why an app has to ask for a certificate now; empty where it need not."""
    try:
        certificate, key = store.certificate.read_bytes(), store.key.read_bytes()
    except OSError:
        return "there is none yet"
    if not store.serving().startswith("acme-"):
        return "what is served did not come from an authority"
    if store.origin() != directory:
        return f"what is served came from {store.origin()}"
    wrong = flaws(certificate, key, domains, now)
    if not store.private():
        wrong.append("others than root could read its key")
    return "; ".join(wrong) or _age(certificate, domains, now)


def _age(certificate: bytes, domains: Sequence[str], now: dt.datetime) -> str:
    """Why a certificate that is all right has to be replaced even so."""
    found, due = names(load_chain(certificate)[0]), renewal(certificate)
    if set(found) != set(domains):
        return f"it is for {', '.join(found)}"
    return f"two thirds of its lifetime were over on {due:%Y-%m-%d %H:%M} UTC" if due <= now else ""
