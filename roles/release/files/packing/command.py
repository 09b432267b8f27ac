"""git as a command: with nothing of what surrounds us, one key, one known host, and its refusals in our words."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packing.source import SourceError

# git can be talked into running commands by some of its transports.
PROTOCOLS = "https:ssh"
_TIMEOUT = 300
# What a git that runs us, in a hook, says of its own repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE",
            "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")  # fmt: skip
# Nobody's own habits may change what a commit is on a host.
_PLAIN = ["-c", "core.autocrlf=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]


def environment() -> dict[str, str]:
    """Ours, without what ties git to another repository; in English, and asking nobody."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}


@dataclass(frozen=True)
class Remote:
    """A repository elsewhere, and how to get in.

    Args:
        key: the user's key of the source, for messages.
        url: where it is.
        secret: a private SSH key's text, or empty for the user's own keys.
        host_key: the server's public key, or empty for the user's own known_hosts.
    """

    key: str
    url: str
    secret: str
    host_key: str

    def git(self, *arguments: str) -> str:
        """What git prints.

        Raises:
            SourceError: it failed; the message names the key to look at, and never shows the secret.
        """
        try:
            with self._access() as environment:
                command = ["git", *_PLAIN, *arguments]
                result = subprocess.run(command, capture_output=True, env=environment, timeout=_TIMEOUT)
        except FileNotFoundError:
            raise SourceError(f"{self.key}.git: git is not installed on this machine") from None
        except subprocess.TimeoutExpired:
            raise SourceError(f"{self.key}.git: {self.url} did not answer within {_TIMEOUT} s") from None
        if result.returncode:
            lines = [line for line in result.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise SourceError(f"{self.key}.{self._reason(chr(10).join(lines))}. git says:\n" + "\n".join(lines[-6:]))
        return result.stdout.decode(errors="surrogateescape")

    def _reason(self, said: str) -> str:
        for pattern, own, other in _REASONS:
            if re.search(pattern, said):
                given = {"key": self.secret, "host_key": self.host_key}[other.partition(":")[0]] if other else ""
                return (other if given else own).format(url=self.url, key=self.key)
        return f"git: {self.url} cannot be read"

    @contextlib.contextmanager
    def _access(self) -> Iterator[dict[str, str]]:
        """git's environment; the key is in a file only while git runs, in memory where there is such a place."""
        options, words = ["BatchMode=yes", "ConnectTimeout=30"], []
        with contextlib.ExitStack() as stack:
            if self.secret:
                # Its text may have been through an editor that ends lines as Windows does.
                words = ["-i", stack.enter_context(_file(self.secret.replace("\r\n", "\n").rstrip("\n") + "\n"))]
                # No connection that is open already: that may be somebody else's.
                options += ["IdentitiesOnly=yes", "ControlPath=none"]
            if self.host_key:
                file = stack.enter_context(_file(f"source {self.host_key.strip()}\n"))
                options += [f"UserKnownHostsFile={file}", "GlobalKnownHostsFile=/dev/null", "HostKeyAlias=source"]
                options += ["StrictHostKeyChecking=yes", "UpdateHostKeys=no"]
            ssh = shlex.join(["ssh", *(word for option in options for word in ("-o", option)), *words])
            yield {**environment(), "GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_SSH_COMMAND": ssh, "GIT_SSH_VARIANT": "ssh"}


@contextlib.contextmanager
def _file(text: str) -> Iterator[str]:
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - readable by its owner only
    with tempfile.NamedTemporaryFile("w", dir=memory, prefix="slipway-") as file:
        file.write(text)
        file.flush()
        yield file.name


# What git or ssh says; what that means with the user's own keys and known hosts, and with those in the source.
_REASONS = (
    (
        "HOST IDENTIFICATION HAS CHANGED|Host key verification failed",
        (
            "git: this machine does not know the key that the server of {url} shows. Once you have compared it with "
            "what its operator publishes, connect by hand, or give it in {key}.host_key"
        ),
        "host_key: the server of {url} shows another key than this one",
    ),
    (
        "Load key .*(invalid format|libcrypto|passphrase)",
        "git: a key of this machine cannot be used for {url}",
        "key: is no private SSH key that opens without a passphrase",
    ),
    (
        "Permission denied",
        "git: {url} lets none of this machine's SSH keys in; give a deploy key in {key}.key",
        "key: {url} does not let this key in",
    ),
    ("not our ref|find remote ref|bad object", "version: {url} has no such commit", ""),
    (
        "does not appear to be a git repository|[Rr]epository .*not found|does not exist",
        "git: there is no repository at {url}, or none that you may read",
        "",
    ),
    ("could not read Username|Authentication failed", "git: {url} wants a password; use its ssh:// URL and a key", ""),
    ("resolve host|timed out|refused|No route|unreachable", "git: {url} cannot be reached from this machine", ""),
)
