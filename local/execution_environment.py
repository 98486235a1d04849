"""The inside of a Lambda execution environment: a process that loads one handler and answers invocations.

It is started by `function_host` with a socket. It says once whether the handler loaded, then answers each
invocation with a payload or with an error in Lambda's shape `{errorType, errorMessage, stackTrace}`. It ends with
its owner. What the function prints goes to the log that its owner gave it, never into the socket.
"""

from __future__ import annotations

import argparse
import importlib
import os
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

from local import frames, lifeline

if TYPE_CHECKING:
    from collections.abc import Callable

Handler = "Callable[[Any, LambdaContext], Any]"


class LambdaContext:
    """What a handler gets beside its event.

    Attributes:
        function_name: its name.
        function_version: always `$LATEST`.
        invoked_function_arn: its ARN.
        memory_limit_in_mb: a string, as in Lambda; nothing enforces it here.
        aws_request_id: the same for every retry of an asynchronous invocation.
        log_group_name: the name that the group would have.
        log_stream_name: likewise.
    """

    identity = None
    client_context = None

    def __init__(self, request_id: str, arn: str, deadline: float) -> None:
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.invoked_function_arn = arn
        self.aws_request_id = request_id
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the environment is killed."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def load(path: str) -> Callable[[Any, LambdaContext], Any]:
    """Return the handler at *path*, `package.module:name` or, as in a template, `package.module.name`.

    Raises:
        ValueError: the path names no module and attribute.
        TypeError: what it names cannot be called.
    """
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module or not name:
        raise ValueError(f"handler {path!r} must be 'package.module:name'")
    handler: Callable[[Any, LambdaContext], Any] = getattr(importlib.import_module(module), name)
    if not callable(handler):
        raise TypeError(f"handler {path!r} is a {type(handler).__name__}, which cannot be called")
    return handler


def described(error: BaseException, kind: str = "") -> dict[str, Any]:
    """Return *error* as Lambda reports it."""
    frames_of_function = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__
    ]
    return {
        "errorType": kind or type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_list(frames_of_function),
    }


def answer(handler: Callable[[Any, LambdaContext], Any], request: dict[str, Any], arn: str) -> dict[str, Any]:
    """Run the handler once; return the frame to send."""
    context = LambdaContext(request["id"], arn, time.monotonic() + request["timeout"])
    try:
        return {"payload": handler(request["event"], context)}
    except Exception as error:  # noqa: BLE001  # whatever a function raises is its answer
        traceback.print_exc()
        return {"error": described(error)}


def reply(connection: socket.socket, frame: dict[str, Any]) -> None:
    """Send *frame*, or, if it is not JSON or too large, an error that says so."""
    try:
        frames.send(connection, frame)
    except frames.FrameTooLargeError as error:
        frames.send(connection, {"error": described(error, "Function.ResponseSizeTooLarge")})
    except (TypeError, ValueError) as error:
        frames.send(connection, {"error": described(error, "Runtime.MarshalError")})


def serve(connection: socket.socket, path: str, arn: str) -> None:
    """Load the handler, say so, and answer until the owner closes the connection."""
    try:
        handler = load(path)
    except Exception as error:  # noqa: BLE001  # the owner reports it as a failed initialisation
        traceback.print_exc()
        kind = "Runtime.ImportModuleError" if isinstance(error, ImportError) else "Runtime.HandlerNotFound"
        known = isinstance(error, (ImportError, AttributeError))
        reply(connection, {"error": described(error, kind if known else "")})
        return
    reply(connection, {"payload": "ready"})
    while True:
        try:
            request = frames.receive(connection)
        except (EOFError, ConnectionError):
            return
        reply(connection, answer(handler, request, arn))


def main() -> None:
    """Serve the owner named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--descriptor", type=int, required=True)
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--handler", required=True)
    parser.add_argument("--arn", required=True)
    arguments = parser.parse_args()
    os.set_inheritable(arguments.descriptor, False)  # noqa: FBT003  # the standard library's own signature
    connection = socket.socket(fileno=arguments.descriptor)
    lifeline.end_with_owner(connection, arguments.owner)
    serve(connection, arguments.handler, arguments.arn)


if __name__ == "__main__":
    main()
