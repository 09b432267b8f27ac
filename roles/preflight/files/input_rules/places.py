"""Where a variable was said: the file, and the line of the key in question."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# What Ansible reads of a folder of variables.
_READ = {"", ".yml", ".yaml", ".json"}
ELSEWHERE = "given on the command line or by a playbook"


@dataclass(frozen=True, order=True)
class Place:
    """A file as the user may type it, and a line of it; 0 where there is none to name."""

    file: str
    line: int


def place(key: str, variables: Mapping[str, Any]) -> Place:
    """Where a key such as `apps.shop.domain` stands, or as much of it as does.

    Args:
        key: the name of a variable, and the way from there.
        variables: Ansible's own say which files may hold it.
    """
    vault = None
    for path in _files(variables):
        if path.read_bytes().startswith(b"$ANSIBLE_VAULT;"):
            vault = vault or path
        elif (node := tree_of(path)) is not None and (line := line_of(node, key)) and _says(node, key, variables):
            return Place(shown(path), line)
    inventory = variables.get("inventory_file")
    if inventory and Path(inventory).is_file() and Path(inventory).suffix in {".yml", ".yaml"}:
        for node in _below(tree_of(Path(inventory))):
            if line := line_of(node, key):
                return Place(shown(Path(inventory)), line)
    if vault and key.startswith("vault_"):
        return Place(shown(vault), 0)
    return Place(ELSEWHERE, 0)


def scalar(name: str, variables: Mapping[str, Any]) -> Place | None:
    """Where a plain file of variables gives a variable its value, in the clear."""
    for path in _files(variables):
        tree = None if path.read_bytes().startswith(b"$ANSIBLE_VAULT;") else tree_of(path)
        if isinstance(tree, yaml.MappingNode):
            for key, value in tree.value:
                if key.value == name and isinstance(value, yaml.ScalarNode) and value.tag != "!vault":
                    return Place(shown(path), int(key.start_mark.line) + 1)
    return None


def _files(variables: Mapping[str, Any]) -> Iterator[Path]:
    """The files of variables that Ansible has read for a host, those that win first."""
    groups = [*reversed(variables.get("group_names", [])), "all"]
    names = [f"host_vars/{variables['inventory_hostname']}", *(f"group_vars/{group}" for group in groups)]
    for name in names:
        for folder in dict.fromkeys([variables.get("playbook_dir"), variables.get("inventory_dir")]):
            base = Path(str(folder)) / name
            found = [base, base.with_name(f"{base.name}.yml"), base.with_name(f"{base.name}.yaml")]
            for path in [*found, *(sorted(base.glob("**/*")) if base.is_dir() else [])]:
                if path.is_file() and path.suffix in _READ:
                    yield path


def shown(path: Path) -> str:
    """A path as the user may type it."""
    return os.path.relpath(path.resolve())


@functools.cache
def tree_of(path: Path) -> yaml.Node | None:
    """What a file of variables holds, with its lines; None where it cannot be read."""
    try:
        return yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None


def _below(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """A node and every dictionary in it: an inventory may say a variable of a host or of any group."""
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _below(value)


def _says(node: yaml.Node, key: str, variables: Mapping[str, Any]) -> bool:
    """Whether a file gives the variable the value that it has; it may have been given another one elsewhere."""
    for name, value in node.value:
        if key == name.value or key.startswith((f"{name.value}.", f"{name.value}[")):
            return _plain(value) == _text(variables.get(name.value))
    return False


def _plain(node: yaml.Node) -> object:
    """What a file says, without types; of a dictionary, that it is one."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return dict if isinstance(node, yaml.MappingNode) else str(node.value).strip().lower()


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value]
    if value is None:
        return ""
    return dict if isinstance(value, dict) else str(value).strip().lower()


def line_of(node: yaml.Node, key: str) -> int:
    """The line of a key in a dictionary, or of as much of its way as there is; 0 where not even its first word is."""
    if isinstance(node, yaml.MappingNode):
        ways = [(str(name.value), name, value) for name, value in node.value]
        for word, name, value in sorted(ways, key=lambda way: -len(way[0])):
            if key == word or key.startswith((f"{word}.", f"{word}[")):
                rest = key[len(word) :].removeprefix(".")
                return line_of(value, rest) or int(name.start_mark.line) + 1
    if isinstance(node, yaml.SequenceNode) and key.startswith("["):
        index, _, rest = key[1:].partition("]")
        if index.isdigit() and int(index) < len(node.value):
            item = node.value[int(index)]
            return line_of(item, rest.removeprefix(".")) or int(item.start_mark.line) + 1
    return 0
