"""Visitors of one domain, each on a new connection with the certificate verified, for as long as something goes on."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

# Four that never pause are a load; at most so many requests each, should nobody stop them.
COUNT, LIMIT = 4, 20_000


def connect(vps: Any, domain: str, authority: str = "") -> ssl.SSLSocket:
    """A connection over TLS whose certificate leads to the authority and names the domain."""
    context = ssl.create_default_context(cafile=authority or vps.authority)
    plain = socket.create_connection((vps.address, vps.https_port), timeout=20)
    return context.wrap_socket(plain, server_hostname=domain)


def served(vps: Any, domain: str, authority: str = "") -> x509.Certificate:
    """The certificate that a visitor of a domain is shown, once it is verified."""
    with connect(vps, domain, authority) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")


@dataclass
class Visitors:
    """A load that ends with its `with` block.

    Attributes:
        answers: the status of each request that was answered well.
        failures: what went wrong with the others.
        serials: of all certificates that were shown.
    """

    vps: Any
    domain: str
    answers: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    serials: set[int] = field(default_factory=set)

    def __enter__(self) -> Visitors:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(COUNT)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self) -> None:
        for _ in range(LIMIT):
            if self._over.is_set():
                return
            try:
                self._once()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))

    def _once(self) -> None:
        with connect(self.vps, self.domain) as connection:
            certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
            self.serials.add(certificate.serial_number)
            asked = http.client.HTTPSConnection(self.domain)
            asked.sock = connection
            asked.request("GET", "/healthz")
            status = asked.getresponse().status
        if status == 200:
            self.answers.append(status)
        else:
            self.failures.append(f"status {status}")
