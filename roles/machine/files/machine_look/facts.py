"""What look.sh has said, line by line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Disk:
    """A file system: where it is mounted, KiB and inodes that are free; no inodes where it does not count them."""

    mount: str
    free: int
    inodes: int | None


@dataclass(frozen=True)
class Listener:
    """A process that listens on a TCP port, with the unit that it belongs to."""

    port: int
    process: str
    unit: str
    pid: int


@dataclass
class Facts:
    """A machine.

    Args:
        clock: seconds since 1970, as it has them.
        version: of the Slipway that has provisioned it last; empty where none has.
        os: ID, number and name of the distribution.
        memory: in KiB.
        locks: the processes that hold a lock of apt's, by their ids.
        broken: packages that are half-installed.
        redis: the apps that have a Redis there.
        accounts: users (with their home) and groups that have an app's name and are none of Slipway's.
    """

    clock: float = 0
    version: str = ""
    os: tuple[str, str, str] = ("", "", "")
    arch: str = ""
    user: int = 0
    systemd: bool = False
    readonly: list[str] = field(default_factory=list)
    memory: int = 0
    python: str = ""
    disks: list[Disk] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    locks: dict[int, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    interrupted: bool = False
    redis: list[str] = field(default_factory=list)
    accounts: list[tuple[str, str]] = field(default_factory=list)


def parsed(text: str) -> Facts:
    """The facts in what look.sh has printed; lines that a login shell has added are passed over."""
    facts = Facts()
    for line in text.splitlines():
        name, _, rest = line.strip().partition(" ")
        words = rest.split()
        if name in {"clock", "user", "memory"} and words:
            setattr(facts, name, float(words[0]) if name == "clock" else int(words[0]))
        elif name in {"version", "arch", "python"}:
            setattr(facts, name, rest.strip())
        elif name == "os" and len(words) == 3:
            facts.os = (words[0], words[1], words[2])
        elif name == "init":
            facts.systemd = True
        elif name in {"readonly", "broken", "redis"}:
            getattr(facts, name).extend(words)
        elif name == "disk" and len(words) == 4:
            facts.disks.append(Disk(words[0], int(words[1]), int(words[3]) if words[2].strip("0-") else None))
        elif name == "port" and len(words) == 4:
            facts.listeners.append(Listener(int(words[0], 16), words[1], words[2], int(words[3])))
        elif name == "lock" and len(words) == 2:
            facts.locks[int(words[0])] = words[1]
        elif name == "interrupted":
            facts.interrupted = True
        elif name == "account" and words:
            facts.accounts.append((words[0], " ".join(words[1:])))
    return facts
