"""An execution environment: one process a function, replaced when it is lost, and every failure an answer."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.conditions import wait_until
from local.function_host import Function, FunctionHost

pytestmark = pytest.mark.timeout(120)

Start = Callable[..., FunctionHost]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(handler: str, **settings: object) -> FunctionHost:
            function = Function.model_validate(
                {"name": "f", "region": "eu-west-1", "handler": handler, **settings}
            )
            return stack.enter_context(FunctionHost(function, tmp_path / "f.log"))

        yield started


def test_context_says_what_lambdas_says(start: Start) -> None:
    """A handler's context names the function, the invocation and the time that is left."""
    host = start("tests.stack.handlers.echo:handler", memory_mb=512, timeout=5)
    told = host.invoke({"a": [1, None]}, "request-1").payload

    assert told["event"] == {"a": [1, None]}
    assert (told["name"], told["request_id"], told["memory"]) == ("f", "request-1", "512")
    assert told["arn"] == "arn:aws:lambda:eu-west-1:000000000000:function:f"
    assert 4000 < told["remaining"] <= 5000


def test_environment_is_kept_between_invocations(start: Start) -> None:
    """The handler is loaded once: the same process serves one invocation after the other."""
    host = start("tests.stack.handlers.echo:handler")

    assert len({host.invoke({}).payload["pid"] for _ in range(3)}) == 1


def test_handler_may_be_named_as_in_a_template(start: Start) -> None:
    """`package.module.name` and `package.module:name` are the same handler."""
    assert start("tests.stack.handlers.echo.handler").invoke(1).payload["event"] == 1


def test_exception_is_answered_in_lambdas_shape(start: Start) -> None:
    """What a function raises comes back as type, message and the function's own stack; the process lives on."""
    host = start("tests.stack.handlers.misbehaving:raises")
    error = host.invoke({}).error

    assert error is not None
    assert (error.type, error.message) == ("KeyError", "'field'")
    assert [" in raises" in error.stack[0], " in _deeper" in error.stack[1]] == [True, True]
    assert host.pid is not None


def test_timeout_kills_the_environment_and_the_next_invocation_gets_a_fresh_one(start: Start) -> None:
    """An invocation beyond its timeout is an error, its process is gone, and the next one is served."""
    host = start("tests.stack.handlers.misbehaving:sleeps", timeout=0.2)
    first = host.invoke({"seconds": 0}).payload
    error = host.invoke({"seconds": 60}).error

    assert error is not None
    assert (error.type, error.message) == ("Sandbox.Timedout", "Task timed out after 0.20 seconds")
    assert host.pid is None
    assert host.invoke({"seconds": 0}).payload != first


@pytest.mark.parametrize(
    ("handler", "kind", "words"),
    [
        ("misbehaving:exits", "Runtime.ExitError", "exit status 3"),
        ("misbehaving:unserialisable", "Runtime.MarshalError", "not JSON serializable"),
        ("misbehaving:enormous", "Function.ResponseSizeTooLarge", "6,291,456"),
        ("misbehaving:missing", "Runtime.HandlerNotFound", "missing"),
        ("misbehaving:not_callable", "TypeError", "cannot be called"),
        ("absent:handler", "Runtime.ImportModuleError", "tests.stack.handlers.absent"),
    ],
)
def test_misbehaviour_is_an_error_that_says_what_happened(
    start: Start, handler: str, kind: str, words: str
) -> None:
    """Whatever a function does, its invoker gets an error with Lambda's name for it."""
    error = start(f"tests.stack.handlers.{handler}").invoke({}).error

    assert error is not None
    assert error.type == kind
    assert words in error.message


def test_environment_that_died_between_invocations_is_replaced(start: Start) -> None:
    """A process that is gone when it is wanted costs nothing: another one serves."""
    host = start("tests.stack.handlers.echo:handler")
    first = host.invoke({}).payload["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: host.pid is None, "the process's end")

    assert host.invoke({}).payload["pid"] != first


def test_oversized_event_is_refused_and_the_environment_lives(start: Start) -> None:
    """An event above Lambda's payload bound never reaches the function."""
    host = start("tests.stack.handlers.echo:handler")
    pid = host.invoke({}).payload["pid"]
    error = host.invoke("x" * (7 * 1024 * 1024)).error

    assert error is not None
    assert error.type == "RequestTooLargeException"
    assert host.invoke({}).payload["pid"] == pid


def test_what_a_function_prints_is_logged(start: Start, tmp_path: Path) -> None:
    """Both streams of a function end in its log, never in its answer."""
    assert start("tests.stack.handlers.misbehaving:prints").invoke({}).payload == "quiet"
    assert {"said on stdout", "said on stderr"} <= set((tmp_path / "f.log").read_text().splitlines())


def test_function_sees_its_own_variables_and_lambdas_but_not_the_callers(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function's environment is what its deployment says: no credentials leak in from the shell."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "private")
    host = start("tests.stack.handlers.echo:environ", environ={"STALEPROOF_REGION": "eu-west-1"})
    told = host.invoke({}).payload

    assert told["STALEPROOF_REGION"] == told["AWS_REGION"] == "eu-west-1"
    assert told["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert "AWS_SESSION_TOKEN" not in told
