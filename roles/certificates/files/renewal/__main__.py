"""Renews the certificate of one app (`renew APP`), or has something for nginx to start with (`placeholders`).

The units slipway-certificate@APP call it. It ends with 1, and the authority's own words, where there is no new one.
"""

from __future__ import annotations

import datetime as dt
import sys

import placeholder
from authority import RefusedError
from certificate_store import Store
from renew import renew, state
from settings import apps, read


def main(arguments: list[str]) -> int:
    """Do what the command line asks for; its exit code."""
    now = dt.datetime.now(dt.UTC)
    match arguments:
        case ["placeholders"]:
            print(*(app for app in apps() if placeholder.place(read(app), now)), sep="\n", end="")
        case ["renew", app]:
            settings = read(app)
            try:
                print(renew(settings, now))
            except (RefusedError, OSError) as error:
                print(f"{error}\n{state(Store(settings.certificates, app))}", file=sys.stderr)
                return 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
