"""Whether an authority would find this host's challenges under a domain: the question that it asks, asked first."""

from __future__ import annotations

import errno
import http.client
from dataclasses import dataclass

from resolver import UnresolvedError, addresses

PATH = "/.well-known/acme-challenge/"
# Those of a machine without IPv6, or without the other one.
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True)
class Question:
    """What to look for, and how.

    Args:
        host: the address of the host that the domains have to lead to.
        token: a file among its challenges, which holds its own name.
        port: where visitors reach its port 80.
        resolver: a DNS server to ask; empty for this machine's.
        timeout: seconds for each step.
    """

    host: str
    token: str
    port: int
    resolver: str
    timeout: float


def problem(domain: str, question: Question) -> str:
    """Why an authority would not find the challenge under a domain, and what to change; empty where it would."""
    try:
        found = addresses(domain, question.resolver, question.timeout)
    except UnresolvedError as error:
        return f"{domain} {error}. Give it an A record for {question.host}."
    answers = {address: _ask(domain, address, question) for address in found}
    wrong = {address: answer for address, answer in answers.items() if answer}
    if not wrong and any(answer is not None for answer in answers.values()):
        return ""
    told = ", and ".join(f"{address} {answer}" for address, answer in wrong.items())
    if not told:
        return f"{domain} resolves to {', '.join(found)}, which this machine has no route to."
    kinds = sorted({"AAAA" if ":" in address else "A" for address in wrong})
    return (
        f"{domain} resolves to {', '.join(found)}; {told}. If that is not {question.host}, change its "
        f"{' and '.join(kinds)} record; if it is, let port 80 through."
    )


def _ask(domain: str, address: str, question: Question) -> str | None:
    """What is wrong at one address; None where this machine cannot get there."""
    connection = http.client.HTTPConnection(address, question.port, timeout=question.timeout)
    try:
        connection.request("GET", PATH + question.token, headers={"Host": domain, "User-Agent": "slipway"})
        response = connection.getresponse()
        body = response.read(4096).decode(errors="replace").strip()
    except TimeoutError:
        return f"does not answer on port {question.port} within {question.timeout:g} seconds"
    except (OSError, http.client.HTTPException) as error:
        code = error.errno if isinstance(error, OSError) else None
        if code in _NO_ROUTE and ":" in address:
            return None
        return f"does not answer on port {question.port} ({error})"
    finally:
        connection.close()
    if response.status == 200 and body == question.token:
        return ""
    place = f" (to {response.headers['Location']})" if "Location" in response.headers else ""
    return f"answers {response.status}{place} where this host's challenge should be, so something else is there"
