"""Ways out of an app: to another app's files, sockets and processes, and to the host's.

Each function is one attempt. It returns what it got; an OSError is a refusal. The app runs them in its sandbox; as a
program, this runs them for whoever calls it: root gets through with every one, or the attempt proves nothing.
"""

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

Target = dict[str, str]
ATTEMPTS: dict[str, Callable[[Target], object]] = {}
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.shmat.restype = ctypes.c_void_p
_LIBC.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_LIBC.shmdt.argtypes = (ctypes.c_void_p,)
_SHM_RDONLY, _NEW_USER, _NO_EXECUTION = 0o10000, 0x10000000, 0x8


def attempt(name: str) -> Callable[[Callable[[Target], object]], None]:
    def keep(function: Callable[[Target], object]) -> None:
        ATTEMPTS[name] = function

    return keep


def _checked(result: int | None) -> None:
    if result in {-1, None, ctypes.c_void_p(-1).value}:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _read(path: str) -> int:
    """Read a bit of a file; what stands there is no secret of anybody but the tests."""
    with Path(path).open("rb") as stream:
        return len(stream.read(64))


def _write(directory: str) -> str:
    path = Path(directory) / "left-by-an-intruder"
    path.write_text("")
    path.unlink()
    return "written"


def _connect(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    return "connected"


@attempt("read the other app's code")
def _(target: Target) -> object:
    return _read(f"/srv/{target['app']}/current/src/wsgi.py")


@attempt("list the other app's releases")
def _(target: Target) -> object:
    return list(Path(f"/srv/{target['app']}/releases").iterdir())


@attempt("learn which release the other app serves")
def _(target: Target) -> object:
    return Path(f"/srv/{target['app']}/current").readlink()


@attempt("read the other app's settings")
def _(target: Target) -> object:
    return _read(f"/srv/{target['app']}/current/settings.json")


@attempt("read the other app's environment file")
def _(target: Target) -> object:
    return _read(f"/srv/{target['app']}/current/env")


@attempt("read the other app's database")
def _(target: Target) -> object:
    return _read(target["database"])


@attempt("write among the other app's data")
def _(target: Target) -> object:
    return _write(f"/srv/{target['app']}/shared")


@attempt("connect to the other app's socket")
def _(target: Target) -> object:
    return _connect(target["socket"])


@attempt("see the other app's process")
def _(target: Target) -> object:
    return Path(f"/proc/{target['pid']}").stat()


@attempt("read the environment of the other app's process")
def _(target: Target) -> object:
    return _read(f"/proc/{target['pid']}/environ")


@attempt("read the memory of the other app's process")
def _(target: Target) -> object:
    with Path(f"/proc/{target['pid']}/maps").open() as maps:
        start = int(maps.readline().partition("-")[0], 16)
    with Path(f"/proc/{target['pid']}/mem").open("rb") as memory:
        memory.seek(start)
        return len(memory.read(16))


@attempt("send a signal to the other app's process")
def _(target: Target) -> object:
    os.kill(int(target["pid"]), 0)
    return "sent"


@attempt("read a temporary file that all may read")
def _(target: Target) -> object:
    return _read(f"/tmp/{target['common']}")  # noqa: S108 - the very place to look at


@attempt("read a piece of shared memory that all may read")
def _(target: Target) -> object:
    return _read(f"/dev/shm/{target['common']}")  # noqa: S108 - the very place to look at


@attempt("attach to System V shared memory that all may use")
def _(target: Target) -> object:
    address = _LIBC.shmat(int(target["memory"]), None, _SHM_RDONLY)
    _checked(address)
    _checked(_LIBC.shmdt(address))
    return "attached"


@attempt("read the site's private key")
def _(target: Target) -> object:
    return _read(f"/etc/ssl/slipway/{target['app']}/privkey.pem")


@attempt("read the web server's configuration")
def _(target: Target) -> object:
    return _read(f"/etc/nginx/conf.d/{target['app']}.conf")


@attempt("read the passwords' hashes")
def _(_target: Target) -> object:
    return _read("/etc/shadow")


@attempt("read the journal")
def _(target: Target) -> object:
    return _read(target["journal"])


@attempt("ask systemd over D-Bus")
def _(_target: Target) -> object:
    return _connect("/run/dbus/system_bus_socket")


@attempt("give systemd orders by its own socket")
def _(_target: Target) -> object:
    return _connect("/run/systemd/private")


@attempt("leave a job for cron")
def _(_target: Target) -> object:
    return _write("/etc")


@attempt("leave a program where others look for theirs")
def _(_target: Target) -> object:
    return _write("/usr/local/bin")


@attempt("change its own code")
def _(_target: Target) -> object:
    return _write(str(Path(__file__).parent))


@attempt("change a setting of the kernel")
def _(_target: Target) -> object:
    path = Path("/proc/sys/net/ipv4/ip_default_ttl")
    return path.write_text(path.read_text())


@attempt("become root")
def _(_target: Target) -> object:
    os.setuid(0)
    return "root"


@attempt("mount a file system")
def _(_target: Target) -> object:
    _checked(_LIBC.mount(b"none", b"/mnt", b"tmpfs", _NO_EXECUTION, None))
    _checked(_LIBC.umount(b"/mnt"))
    return "mounted"


@attempt("be root in a user namespace of its own")
def _(_target: Target) -> object:
    child = os.fork()
    if child == 0:
        result = _LIBC.unshare(_NEW_USER)
        os._exit(ctypes.get_errno() if result else 0)
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, os.strerror(code))
    return "made"


def outcomes(target: Target) -> dict[str, str]:
    """What came of each attempt: the name of the error that refused it, or nothing where it got through."""
    found = {}
    for name, function in ATTEMPTS.items():
        try:
            function(target)
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno or 0, type(error).__name__)
        else:
            found[name] = ""
    return found


if __name__ == "__main__":
    print(json.dumps(outcomes(json.loads(sys.argv[1]))))
