"""Lambda's Runtime API on the loopback, for the real runtime client: hands it events, and takes its answers.

One process, one invocation at a time, as in an execution environment; see the AWS Lambda Developer Guide, "Using the
Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from local.function_host import environ
from local.loopback import HOST
from local.supervisor import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from local.function_host import Function

PREFIX = "/2018-06-01/runtime"


class Answer(NamedTuple):
    """What the runtime client answered.

    Attributes:
        kind: `response`, `error`, or `init` for an error before the first event.
        body: the document that it sent.
    """

    kind: str
    body: Any


class RealRuntime:
    """A function in AWS's own runtime client; use it as a context manager.

    Args:
        function: what to run; its handler as in a template, `package.module.name`.
        log: a file for what the function prints.
    """

    def __init__(self, function: Function, log: Path) -> None:
        self._function = function
        self._log = log
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self._events, self._answers, function))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        api = f"{HOST}:{self._server.server_address[1]}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", self._function.handler],
                env={**environ(self._function), "AWS_LAMBDA_RUNTIME_API": api, "LAMBDA_TASK_ROOT": str(ROOT)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def invoke(self, event: Any) -> Answer:
        """Hand over *event*; return the answer.

        Raises:
            queue.Empty: none came within the function's time.
        """
        self._events.put((str(uuid.uuid4()), event))
        return self._answers.get(timeout=self._function.timeout + 20)


def _handler(
    events: queue.Queue[tuple[str, Any]], answers: queue.Queue[Answer], function: Function
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            identity, event = events.get()
            self.send_response(200)
            for name, value in {
                "Lambda-Runtime-Aws-Request-Id": identity,
                "Lambda-Runtime-Deadline-Ms": str(round((time.time() + function.timeout) * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": function.arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{os.urandom(4).hex()}-{os.urandom(12).hex()};Sampled=0",
            }.items():
                self.send_header(name, value)
            self._finish(json.dumps(event).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kind = "init" if self.path == f"{PREFIX}/init/error" else self.path.rpartition("/")[2]
            answers.put(Answer(kind, json.loads(body or b"null")))
            self.send_response(202)
            self._finish(b"{}")

        def _finish(self, body: bytes) -> None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Nobody reads it."""

    return Handler
