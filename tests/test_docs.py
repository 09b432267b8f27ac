"""The pages are true of the tree: generated ones are fresh, links and paths lead somewhere, commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "molecule" / "shared" / "README.md"])
TOP = r"(?:\.ci|\.config|app|docs|group_vars|inventory|molecule|playbooks|roles|tests)/"
# Environments that a reader may have; the pages speak of them, the tree does not hold them.
EXAMPLES = re.compile(r"/(?:production|staging)\b")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(text: str) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """A page without its blocks of code, where brackets and backquotes mean nothing."""
    return re.sub(r"^```[a-z]*\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def commands(text: str) -> list[str]:
    """What a reader may type: spans, and blocks that are no output."""
    typed = [block for block in blocks(text) if "PLAY " not in block and "TASK " not in block]
    return [*spans(text), *(line for block in typed for line in block.splitlines())]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_made_later(path: str) -> bool:
    """Whether git ignores a path: what commands make on each machine."""
    return subprocess.run(["git", "-C", str(ROOT), "check-ignore", "--quiet", path], check=False).returncode == 0


def links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if not re.match(r"[a-z]+:", target):
            yield target


def test_generated_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}Run docs/generate.py."


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pages
def test_paths_exist(page: Path) -> None:
    for path in re.findall(rf"(?<![\w./]){TOP}[\w./@-]*", "\n".join(spans(page.read_text()))):
        # A pattern such as roles/*/tasks is looked up as far as its first wildcard.
        assert (ROOT / path).exists() or EXAMPLES.search(path) or is_made_later(path), path


@pages
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(page.read_text()):
        for target in re.findall(r"(?:^|[\s;&|])make ([a-z][a-z-]*)", command):
            assert target in targets, command


@pages
def test_playbooks_exist(page: Path) -> None:
    for command in commands(page.read_text()):
        for playbook in re.findall(r"ansible-playbook (\S+\.yml)", command):
            assert (ROOT / playbook).is_file(), command


@pages
def test_pages_name_no_directory_of_this_machine(page: Path) -> None:
    assert str(ROOT) not in page.read_text()


def test_every_page_is_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        todo += [target for target in targets if target in PAGES and target not in reached]
    assert set(PAGES) == reached
