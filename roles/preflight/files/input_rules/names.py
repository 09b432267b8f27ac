"""Variables that nothing reads: Ansible takes any name, so a slip would go unnoticed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from app_rules.described import Problems

from input_rules.described import Known

# Names that are Ansible's, a secret's or a role's own.
_NOT_OURS = ("ansible_", "inventory_", "vault_", "_")
# How alike a name has to be to one of ours where it does not begin with a role's.
_ALIKE = 0.88


def name_problems(names: Iterable[str], known: Known, renamed: Mapping[str, str]) -> Problems:
    """The variables that were renamed, that look like an input of a role and are none, or nearly like one."""
    taken = {*known.options, *known.wiring}
    for name in sorted(names):
        if name in renamed:
            yield name, f"is now called {renamed[name]}"
        elif name not in taken and name not in known.mentioned and not name.startswith(_NOT_OURS):
            yield from _unknown(name, sorted(taken), known.roles)


def _unknown(name: str, taken: list[str], roles: list[str]) -> Problems:
    owners = [role for role in roles if name.startswith(f"{role}_")]
    if owners:
        owner = max(owners, key=len)
        inputs = [one for one in taken if one.startswith(f"{owner}_")]
        close = difflib.get_close_matches(name, inputs, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/roles.md lists those that there are"
        yield name, f"the role {owner} has no such input, and names that begin with {owner}_ are its own; {hint}"
    elif close := difflib.get_close_matches(name, taken, n=1, cutoff=_ALIKE):
        yield name, f"nothing reads it; did you mean {close[0]}? A variable of your own needs a name less like that"
