"""Static files, pressed once at build so that the web server never has to.

Times follow from content: the web server makes ETags of them, so a file keeps its own from one release and one host to
the next as long as it stays the same, and never keeps it longer.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What is text under whatever name; pictures, films and fonts in woff2 are pressed already.
_SUFFIXES = {
    ".atom", ".css", ".csv", ".eot", ".geojson", ".htm", ".html", ".ico", ".js", ".json", ".map", ".md", ".mjs", ".otf",
    ".rss", ".svg", ".ttf", ".txt", ".vcf", ".wasm", ".webmanifest", ".xml",
}  # fmt: skip
# Below, headers weigh more than what is saved.
_SMALLEST = 512
# Brotli's best setting takes seconds for a megabyte; so much of a larger file is rarely worth it.
_LARGEST_AT_BEST = 2 << 20
_EPOCH = 946684800
_SPAN = 500_000_000


def press(static: Path, before: Path) -> None:
    """Write `.gz`, and `.br` where the host has brotli, beside each file that gets smaller by it.

    A file that the source brings in pressed form stays as it is.

    Args:
        static: the files of the release.
        before: those of the release that serves; what has not changed since is taken from there.
    """
    brotli = shutil.which("brotli")
    files = sorted(path for path in static.rglob("*") if path.is_file() and not path.is_symlink())
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # All of it is C or another process: threads do run side by side.
        list(pool.map(lambda path: _press(path, before / path.relative_to(static), brotli), files))


def _press(path: Path, before: Path, brotli: str | None) -> None:
    content = path.read_bytes()
    time = _EPOCH + int.from_bytes(hashlib.sha256(content).digest()[:8]) % _SPAN
    os.utime(path, (time, time))
    if path.suffix.lower() not in _SUFFIXES or len(content) < _SMALLEST:
        return
    known = before if before.is_file() and before.read_bytes() == content else None
    _beside(path, ".gz", known, lambda: gzip.compress(content, 9, mtime=0))
    if brotli:
        quality = "11" if len(content) <= _LARGEST_AT_BEST else "9"
        command = [brotli, f"--quality={quality}", "--stdout", "--", str(path)]
        _beside(path, ".br", known, lambda: subprocess.run(command, capture_output=True, check=True).stdout)


def _beside(path: Path, suffix: str, known: Path | None, press: Callable[[], bytes]) -> None:
    target = path.with_name(path.name + suffix)
    if target.exists():
        return
    if known and (pressed := known.with_name(known.name + suffix)).is_file():
        shutil.copyfile(pressed, target)
    elif len(content := press()) < path.stat().st_size:
        target.write_bytes(content)
    else:
        return
    target.chmod(0o644)
    os.utime(target, (path.stat().st_mtime, path.stat().st_mtime))
