"""The process that owns every server of a local stack, and the directory they live in.

Theory of operation. A stack's owner (a demo, a test, a shell command) may end in ways in which no handler of
its own runs. So it starts nothing itself: it starts this one process, in a session of its own that Ctrl-C does not
reach, and asks it over a socket to start the rest. When the owner is gone (`lifeline` says how that is seen),
this process kills what it started, removes the directory, and ends.

- A child leads a process group; what it starts belongs to the group, and outliving the child does not
  save it: the group is killed *before* the child is reaped, so its number cannot have been given to anybody else.
  Orphans are adopted (Linux), so that stopping a child waits for the last of its group.
- If this process itself is killed, Linux kills the children (`PR_SET_PDEATHSIG`; its catch, that the signal
  follows the parent's thread, cannot bite here: there is one thread).
- If this process and its owner are killed together, the directory stays. Each holds a lock on its own for as long as
  it lives, so the next one to start removes those that nobody holds.
- One request at a time, one JSON object a line each way: `{"do": name, ...}` and `{"ok": result}` or
  `{"error": text}`.

It imports the standard library alone, and not even `site`: it is there in a few hundredths of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import lifeline

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MAX_REQUEST = 1 << 20
PREFIX = "staleproof-local-"
LOCK = ".owned"


def _bind_to_parent() -> Any:
    """Adopt what children leave behind; return a function for a child to call before exec, to die with us (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: nothing may be loaded after it
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Children:
    """The servers, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._bind = _bind_to_parent()

    def spawn(self, name: str, argv: list[str], environ: dict[str, str], cwd: str) -> int:
        """Start *argv* as the child *name*, its output appended to `logs/<name>.log`; return its process id."""
        if name in self._children:
            raise ValueError(f"child {name!r} exists: stop it first")
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self._children[name] = subprocess.Popen(
                argv,
                env=environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._bind,  # noqa: PLW1509  # safe: this process has one thread
            )
        return self._children[name].pid

    def poll(self, name: str) -> bool:
        """Say whether the child is running. It is not reaped here: its number must stay taken."""
        child = self._children.get(name)
        return child is not None and not _ended(child)

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the child alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child(name).pid, number)

    def _child(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self._children:
            raise ValueError(f"there is no child {name!r}; there are: {', '.join(self._children) or 'none'}")
        return self._children[name]

    def stop(self, name: str, grace: float) -> int | None:
        """Ask the child to end, wait *grace* seconds, then kill its group; return its exit status."""
        child = self._children.pop(name, None)
        if child is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM)
        return _finish(child, time.monotonic() + grace)

    def close(self, grace: float) -> None:
        """Stop all of them together, within *grace* seconds."""
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM if grace else signal.SIGKILL)
        deadline = time.monotonic() + grace
        while self._children:
            _finish(self._children.popitem()[1], deadline)


def _ended(child: subprocess.Popen[bytes]) -> bool:
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return child.poll() is not None
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _finish(child: subprocess.Popen[bytes], deadline: float) -> int:
    while not _ended(child) and time.monotonic() < deadline:
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    with contextlib.suppress(ChildProcessError):
        while True:  # the rest of its group, adopted when the child ended
            os.waitpid(-child.pid, 0)
    return status


def _answer(children: Children, request: dict[str, Any]) -> dict[str, Any]:
    actions: dict[str, Callable[..., Any]] = {
        "spawn": children.spawn,
        "poll": children.poll,
        "signal": children.signal,
        "stop": children.stop,
    }
    action = request.pop("do")
    try:
        return {"ok": actions[action](**request)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {"error": f"{action}: {type(error).__name__}: {error}"}


def _serve(connection: socket.socket, owner: int, children: Children) -> float:
    """Answer requests until told to close, or until the owner is gone; return the grace to close with."""
    watched = select.poll()
    watched.register(connection.fileno(), select.POLLIN | lifeline.HANGUP)
    if (descriptor := lifeline.owner_descriptor(owner)) is not None:
        watched.register(descriptor, select.POLLIN)
    buffer = b""
    while True:
        for ready, events in watched.poll():
            if ready != connection.fileno() or not events & select.POLLIN:
                return 0.0
        buffer += (received := connection.recv(1 << 16))
        if not received or len(buffer) > MAX_REQUEST:
            return 0.0
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            request = json.loads(line)
            if request["do"] == "close":
                return float(request["grace"])
            connection.sendall(json.dumps(_answer(children, request)).encode() + b"\n")


def _own_directory(parent: str) -> Path:
    """Make this process's directory, after removing those whose processes are gone."""
    for held in Path(parent).glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), held.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(held.parent, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    descriptor = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o600)  # held until this process ends
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return directory


def main(descriptor: int, owner: int, parent_directory: str) -> None:
    """Serve the owner at the other end of *descriptor*, and leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the owner's end, or its word, ends this process
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # the standard library's own signature
    connection = socket.socket(fileno=descriptor)
    directory = _own_directory(parent_directory)
    children = Children(directory)
    grace = 0.0
    try:
        connection.sendall(json.dumps({"ok": str(directory)}).encode() + b"\n")
        grace = _serve(connection, owner, children)
    except OSError:  # the owner went in the middle of an answer
        grace = 0.0
    finally:
        children.close(grace)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
