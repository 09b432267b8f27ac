"""What the command line gives with -e, which wins over all files of an environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import yaml

from input_rules.places import ELSEWHERE, Place, line_of, shown, tree_of


def given(key: str, words: Iterable[str]) -> Place | None:
    """Where the command line gives a key such as `apps.shop.domain`; None where it does not.

    Args:
        key: the name of a variable, and the way from there.
        words: what stands behind each -e: `@file`, a dictionary, or `name=value`.
    """
    name = re.split(r"[.\[]", key, maxsplit=1)[0]
    for word in reversed(list(words)):
        if word.startswith("@"):
            node = tree_of(Path(word[1:]))
            if node is not None and (number := line_of(node, key)):
                return Place(shown(Path(word[1:])), number)
        elif name in names(word):
            return Place(ELSEWHERE, 0)
    return None


def names(word: str) -> set[str]:
    """The variables that one word gives."""
    try:
        if word.lstrip().startswith(("{", "[")):
            node = yaml.compose(word, Loader=yaml.SafeLoader)
            return {str(key.value) for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()
        return {part.partition("=")[0] for part in shlex.split(word)}
    except (ValueError, yaml.YAMLError):
        return set()
