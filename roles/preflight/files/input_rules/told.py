"""All that is wrong, in one message: by file, in the order of its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from input_rules.places import Place


def told(problems: Iterable[tuple[str, str]], place: Callable[[str], Place]) -> str:
    """The message for problems, each a key and what is wrong with it; `place` says where a key stands."""
    by_file: dict[str, list[tuple[int, str]]] = {}
    for key, text in dict.fromkeys(problems):
        # A key that is a file has no place in one.
        if key.endswith(".yml"):
            by_file.setdefault(key, []).append((0, text))
        else:
            found = place(key)
            by_file.setdefault(found.file, []).append((found.line, f"{key}: {text}"))
    count = sum(map(len, by_file.values()))
    lines = [f"Nothing was changed: {count} to put right"]
    for file, rows in sorted(by_file.items()):
        lines.append(f"  {file}")
        lines += [
            f"    - {f'line {line}: ' if line else ''}{text}" for line, text in sorted(rows, key=lambda row: row[0])
        ]
    return "\n".join(lines)
