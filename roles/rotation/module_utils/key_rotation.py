"""Rotating keys in the text of a vault: only what has to change is touched, every other byte stays.

A key NAME has its older ones in the list NAME_fallbacks, each with the day until which it was promised to be kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import yaml

_UNTIL = re.compile(r"#\s*until (\d{4}-\d{2}-\d{2})")
_NOTE = "# Keys before it, newest first. They open sessions signed with them; a rotation after its day drops each."


class _Loader(yaml.SafeLoader):
    """YAML whose tags do not matter."""


def _any(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _any)

# A replacement of the text between two offsets.
Edit = tuple[int, int, str]


class RotationError(Exception):
    """A vault that cannot be rotated; the message names the key, never a value."""


def rotate(
    text: str, names: list[str], today: date, *, keep_days: int, leaked: bool, make: Callable[[], str]
) -> tuple[str, dict[str, list[str]]]:
    """Give each key a new value and keep the old one as a fallback.

    Args:
        text: the vault's plain text.
        names: the keys.
        today: the day it is.
        keep_days: for how many days from today the old key is promised to be kept.
        leaked: the old keys are known to others: keep none.
        make: makes a key.

    Returns:
        The new text, and for each key the days until which its older keys are kept.

    Raises:
        RotationError: a key is missing or is no text, or the file is written in a way that defies rewriting.
    """
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise RotationError("the vault holds no keys")
    if root.flow_style:
        raise RotationError("the vault cannot be rewritten as it is: put each key on a line of its own")
    nodes = {str(key.value): (key, value) for key, value in root.value}
    edits: list[Edit] = []
    wanted = yaml.load(text, _Loader)  # noqa: S506  # derived from the safe one
    kept: dict[str, list[str]] = {}
    for name in names:
        _, value = nodes.get(name, (None, None))
        if not isinstance(value, yaml.ScalarNode):
            raise RotationError(f"{name} is missing from the vault, or is not text")
        new, until = make(), (today + timedelta(days=keep_days)).isoformat()
        edits.append(_scalar(text, value, quoted(new)))
        fallbacks = f"{name}_fallbacks"
        held = nodes.get(fallbacks)
        days = list(_days(text, held, today))
        if leaked:
            edits += _without_fallbacks(text, held)
            kept[name] = []
            if held is not None:
                wanted[fallbacks] = []
        else:
            line = f"  - {quoted(str(value.value))}  # until {until}\n"
            edits += _with_fallback(text, line, held, days) if held else [_new_list(text, fallbacks, line, value)]
            older = zip(wanted.get(fallbacks) or [], days, strict=True)
            wanted[fallbacks] = [value.value, *(item for item, day in older if day)]
            kept[name] = [until, *filter(None, days)]
        wanted[name] = new
    rewritten = text
    for start, end, replacement in sorted(edits, reverse=True):
        rewritten = rewritten[:start] + replacement + rewritten[end:]
    _must_be(rewritten, wanted)
    return rewritten, kept


def _must_be(text: str, wanted: dict[str, object]) -> None:
    """Raise RotationError where a rewritten vault does not say what it is to say."""
    try:
        same = yaml.load(text, _Loader) == wanted  # noqa: S506  # derived from the safe one
    except yaml.YAMLError:
        # Its message would quote the text.
        same = False
    if not same:
        raise RotationError("the vault cannot be rewritten as it is: put each key and each item on a line of its own")


def quoted(text: str) -> str:
    """A secret in YAML: one line of ASCII, not to be taken for a template."""

    def escaped(character: str) -> str:
        code = ord(character)
        if character in '"\\':
            return f"\\{character}"
        return character if 32 <= code < 127 else f"\\U{code:08x}"

    # Ansible would take a number for one even in quotes: those alone then, for it holds no template.
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return ("" if tag != "tag:yaml.org,2002:str" else "!unsafe ") + f'"{"".join(map(escaped, text))}"'


def _scalar(text: str, node: yaml.Node, replacement: str) -> Edit:
    # Folded and literal text ends after its line feed.
    start, end = node.start_mark.index, node.end_mark.index
    return start, end, replacement + ("\n" if text[start:end].endswith("\n") else "")


def _line(text: str, node: yaml.Node) -> tuple[int, int]:
    """Where the lines of a list's item begin and end."""
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    end = text.find("\n", node.end_mark.index - 1)
    return start, len(text) if end < 0 else end + 1


# A key and its value.
Held = tuple[yaml.Node, yaml.Node]


def _items(held: Held | None) -> list[yaml.Node]:
    return list(held[1].value) if held and isinstance(held[1], yaml.SequenceNode) else []


def _days(text: str, held: Held | None, today: date) -> Iterator[str]:
    """For each fallback the day until which it is kept; empty where that is over, or was never said."""
    for item in _items(held):
        end = _line(text, item)[1]
        found = _UNTIL.search(text, item.end_mark.index, end)
        yield found[1] if found and date.fromisoformat(found[1]) > today else ""


def _new_list(text: str, name: str, line: str, key: yaml.Node) -> Edit:
    end = _line(text, key)[1]
    begin = "" if text[:end].endswith("\n") else "\n"
    return end, end, f"{begin}{_NOTE}\n{name}:\n{line}"


def _with_fallback(text: str, line: str, held: Held, days: list[str]) -> Iterator[Edit]:
    items = _items(held)
    if items and isinstance(held[1], yaml.SequenceNode) and not held[1].flow_style:
        start = _line(text, items[0])[0]
        indent = text[start:].partition("-")[0]
        yield start, start, f"{indent}{line.lstrip()}"
        for item, day in zip(items, days, strict=True):
            if not day:
                yield *_line(text, item), ""
    else:
        # An empty list, or one on a single line, which names no days.
        yield held[0].end_mark.index, _line(text, held[1])[1], f":\n{line}"


def _without_fallbacks(text: str, held: Held | None) -> Iterator[Edit]:
    if held is not None:
        last = (_items(held) or [held[1]])[-1] if not getattr(held[1], "flow_style", True) else held[1]
        yield held[0].end_mark.index, _line(text, last)[1], ": []\n"
