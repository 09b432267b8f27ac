"""A filter that makes the page that a visitor meets where no app answers."""

from __future__ import annotations

import html
import string
from collections.abc import Callable
from pathlib import Path

_LAYOUT = Path(__file__).resolve().parent.parent / "files" / "page.html"


def visitor_page(text: str, title: str, code: str = "") -> str:
    """A whole page that needs nothing else: no file, no script, no other host.

    Args:
        text: what to tell the visitor; an empty line begins a paragraph.
        title: its heading.
        code: the number of the error, shown small; empty for none.
    """
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    return string.Template(_LAYOUT.read_text()).substitute(
        title=html.escape(title),
        text="\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs),
        code=f'<p class="code">{html.escape(code)}</p>' if code else "",
    )


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"visitor_page": visitor_page}
