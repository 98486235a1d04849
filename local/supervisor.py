"""The owner's side of a local stack's processes: start, signal and stop servers; nothing outlives the owner.

The work is done by `supervisor_process`, which see for why and how.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.loopback import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

ROOT = Path(__file__).resolve().parents[1]
GRACE = 2.0
"""Seconds that a server has to end by itself."""


class SupervisorError(RuntimeError):
    """A server could not be started, signalled or stopped; the text says which, and why."""


def base_environ(directory: Path) -> dict[str, str]:
    """Return what a child inherits: a search path, a locale, and *directory* for a home. No credentials, no proxies."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "NO_PROXY": HOST,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }


class Supervisor:
    """A set of named server processes and their directory, both gone when this is closed or its process ends.

    Safe to use from several threads. A forked copy of the owner cannot use it, and does not keep it alive.

    Attributes:
        directory: everything the servers write; removed at the end.
        pid: the supervising process.
    """

    def __init__(self, parent_directory: Path | None = None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-S", "-m", "local.supervisor_process"]
            told = [str(theirs.fileno()), str(os.getpid()), str(parent_directory or tempfile.gettempdir())]
            self._process = subprocess.Popen(
                [*command, *told],
                env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the owner's affair
            )
        self._connection, self._stream = ours, ours.makefile("rb")
        self._lock = threading.Lock()
        self._closed = False
        self.pid = self._process.pid
        self.directory = Path(self._receive())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def spawn(self, name: str, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
        """Start a server, its output going to `log(name)`; return its process id."""
        variables = {**base_environ(self.directory), **(environ or {})}
        return int(self._request("spawn", name=name, argv=list(argv), environ=variables, cwd=str(ROOT)))

    def spawn_module(self, name: str, module: str, *arguments: str) -> int:
        """Start a Python module of this repository as a server, in this interpreter's environment."""
        return self.spawn(name, [sys.executable, "-m", module, *arguments])

    def running(self, name: str) -> bool:
        """Say whether the server runs."""
        return bool(self._request("poll", name=name))

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the server alone, not to what it started."""
        self._request("signal", name=name, number=int(number))

    def stop(self, name: str, grace: float = GRACE) -> int | None:
        """End the server and what it started; return its exit status, or None if there is no such server."""
        status = self._request("stop", name=name, grace=grace)
        return None if status is None else int(status)

    def kill(self, name: str) -> None:
        """End the server, and what it started, without warning."""
        with contextlib.suppress(SupervisorError):
            self.signal(name, signal.SIGKILL)
        self.stop(name, grace=0)

    def log(self, name: str) -> Path:
        """Return the file with the server's output."""
        return self.directory / "logs" / f"{name}.log"

    def tail(self, name: str, limit: int = 2000) -> str:
        """Return the end of the server's output, for an error message."""
        try:
            return self.log(name).read_bytes()[-limit:].decode(errors="replace").strip()
        except OSError:
            return ""

    def close(self) -> None:
        """Stop every server, remove the directory, and wait until both are done."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(OSError):
                self._connection.sendall(json.dumps({"do": "close", "grace": GRACE}).encode() + b"\n")
            self._process.wait()
            self._stream.close()
            self._connection.close()
            self.remove_directory()  # still there only if the supervising process was killed

    def remove_directory(self) -> None:
        """Remove what a thread of the owner wrote while the servers were being stopped."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _request(self, action: str, **arguments: Any) -> Any:
        with self._lock:
            if self._closed:
                raise SupervisorError(f"{action}: the stack is closed")
            try:
                self._connection.sendall(json.dumps({"do": action, **arguments}).encode() + b"\n")
                return self._receive()
            except OSError as error:
                raise SupervisorError(f"{action}: the supervising process is gone ({error})") from error

    def _receive(self) -> Any:
        line = self._stream.readline()
        if not line:
            raise SupervisorError("the supervising process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise SupervisorError(answer["error"])
        return answer["ok"]
