"""One Lambda execution environment, from outside: a process that is started, invoked, timed out and replaced.

Theory of operation. As in Lambda, an environment initialises once and then serves one invocation at a time. It is
started early by `start` or by the first `invoke`. An invocation that exceeds its timeout, or a
process that ends for whatever reason, costs that invocation an error; the next one gets a fresh process. The host
itself never raises for what a function does: an `Invocation` carries the payload or the error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from local import frames
from local.emulator import ACCOUNT
from local.supervisor import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

INIT_TIMEOUT = 30.0
"""Seconds that a handler's module may take to load; Lambda gives 10, on a machine of its own."""


class Function(BaseModel):
    """A function as deployed.

    Attributes:
        name: its name.
        handler: `package.module:name`.
        region: where it runs.
        environ: its environment variables.
        timeout: seconds an invocation may take.
        memory_mb: told to the function, not enforced.
    """

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    handler: str
    region: str
    environ: dict[str, str] = {}
    timeout: float = Field(default=30.0, gt=0, le=900)
    memory_mb: int = Field(default=256, ge=128, le=10_240)

    @property
    def arn(self) -> str:
        """Its name in AWS."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:{self.name}"


class FunctionError(NamedTuple):
    """Why an invocation failed, in Lambda's words."""

    type: str
    message: str
    stack: tuple[str, ...] = ()


class Invocation(NamedTuple):
    """What became of one invocation.

    Attributes:
        request_id: its id.
        payload: what the handler returned, if there is no error.
        error: why it failed, or None.
    """

    request_id: str
    payload: Any = None
    error: FunctionError | None = None


class FunctionHost:
    """One environment of *function*; invocations from several threads take turns.

    Args:
        function: what to run.
        log: a file to which what the function prints is appended.
    """

    def __init__(self, function: Function, log: Path) -> None:
        self.function = function
        self._log = log
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._initialised = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The environment's process, or None if there is none now."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Begin to initialise an environment, unless there is one, without waiting for it."""
        with self._turn:
            if self.pid is None:
                self._spawn()

    def initialise(self) -> FunctionError | None:
        """Wait until an environment has loaded the handler; return why it could not, or None."""
        with self._turn:
            return self._ensure()

    def invoke(self, event: Any, request_id: str = "") -> Invocation:
        """Run the handler on *event*, in a fresh process if there is none."""
        identity = request_id or str(uuid.uuid4())
        with self._turn:
            error = self._ensure()
            if error is None:
                return self._exchange(event, identity)
            return Invocation(identity, error=error)

    def kill(self) -> None:
        """End the environment's process, also in the middle of an invocation, which then fails."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the environment, after the invocation under way."""
        with self._turn:
            self._discard()

    def _spawn(self) -> None:
        self._discard()
        ours, theirs = socket.socketpair()
        function = self.function
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.execution_environment", "--descriptor", str(theirs.fileno()),
                 "--owner", str(os.getpid()), "--handler", function.handler, "--arn", function.arn],
                env=environ(function),
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._connection = ours

    def _ensure(self) -> FunctionError | None:
        if self.pid is None:
            self._spawn()
        if self._initialised:
            return None
        error = self._read(time.monotonic() + INIT_TIMEOUT, "initialisation").error
        self._initialised = error is None
        if error is not None:
            self._discard()
        return error

    def _exchange(self, event: Any, identity: str) -> Invocation:
        assert self._connection is not None  # noqa: S101  # _ensure has made it
        timeout = self.function.timeout
        try:
            frames.send(self._connection, {"id": identity, "event": event, "timeout": timeout})
        except frames.FrameTooLargeError as error:
            return Invocation(identity, error=FunctionError("RequestTooLargeException", str(error)))
        except OSError:
            pass  # it died between two invocations; reading tells how
        return self._read(time.monotonic() + timeout, identity)

    def _read(self, deadline: float, identity: str) -> Invocation:
        assert self._connection is not None and self._process is not None  # noqa: S101, PT018  # _ensure made both
        try:
            answer = frames.receive(self._connection, deadline)
        except TimeoutError:
            seconds = self.function.timeout if self._initialised else INIT_TIMEOUT
            self._discard()
            message = f"Task timed out after {seconds:.2f} seconds"
            return Invocation(identity, error=FunctionError("Sandbox.Timedout", message))
        except (EOFError, OSError, ValueError):
            return Invocation(identity, error=self._exit_error())
        if "error" in answer:
            told = answer["error"]
            error = FunctionError(told["errorType"], told["errorMessage"], tuple(told["stackTrace"]))
            return Invocation(identity, error=error)
        return Invocation(identity, answer["payload"])

    def _exit_error(self) -> FunctionError:
        assert self._process is not None  # noqa: S101  # it has just gone
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.poll()
        self._discard()
        how = "unknown" if status is None else f"signal {-status}" if status < 0 else f"exit status {status}"
        return FunctionError("Runtime.ExitError", f"Runtime exited without providing a reason: {how}")

    def _discard(self) -> None:
        process, connection = self._process, self._connection
        self._process, self._connection, self._initialised = None, None, False
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()


def environ(function: Function) -> dict[str, str]:
    """Return the environment variables of a process of *function*: Lambda's own, then the function's."""
    return {
        **{
            name: os.environ[name]
            for name in ("PATH", "HOME", "TMPDIR", "LANG", "NO_PROXY")
            if name in os.environ
        },
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python{}.{}".format(*sys.version_info[:2]),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{function.region}/[$LATEST]",
        **function.environ,
    }
