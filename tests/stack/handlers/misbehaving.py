"""Functions that do what a function should not."""

import os
import sys
import time
from typing import Any


def raises(event: Any, context: Any) -> None:
    """Raise two calls deep."""
    _deeper(event)


def _deeper(event: Any) -> None:
    raise KeyError(event["field"])


def sleeps(event: Any, context: Any) -> int:
    """Exceed any timeout, unless told otherwise."""
    time.sleep(event["seconds"])
    return os.getpid()


def exits(event: Any, context: Any) -> None:
    """End the process."""
    os._exit(3)


def unserialisable(event: Any, context: Any) -> Any:
    """Return what JSON cannot say."""
    return {"handler": object()}


def enormous(event: Any, context: Any) -> str:
    """Return more than an invocation may."""
    return "x" * (7 * 1024 * 1024)


def prints(event: Any, context: Any) -> str:
    """Write to both streams."""
    print("said on stdout")
    print("said on stderr", file=sys.stderr)
    return "quiet"


not_callable = 5
