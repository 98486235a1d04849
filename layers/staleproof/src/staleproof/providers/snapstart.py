"""Snapshots of the whole process: Lambda's SnapStart freezes it once, and thaws many copies of it, perhaps days later.

Theory of operation: a connection cannot be copied, and whoever restores one finds it long closed. So all are closed
before the snapshot, and opened anew by whatever is asked first after it. Python's `random` would give the same numbers
in every copy: the ids of their events would be alike, and all would refresh early at the same moments. It is seeded
anew; leases and versions come from `os.urandom` anyway. Near caches need nothing: they measure time by the larger of
two clocks.

The hooks are the runtime's, `snapshot_restore_py`; without them, or in a process that is no snapshot, nothing happens.

Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from __future__ import annotations

import importlib
import os
import random
from functools import cache
from typing import Any
from weakref import WeakSet

KIND = "AWS_LAMBDA_INITIALIZATION_TYPE"
SNAPSHOT = "snap-start"

_POOLS: WeakSet[Any] = WeakSet()


def close_before_snapshot(pool: Any) -> None:
    """Have *pool* `abandon` its connections before this process becomes a snapshot, if it does."""
    if os.environ.get(KIND) == SNAPSHOT:
        _POOLS.add(pool)
        _register()


@cache
def _register() -> None:
    try:
        hooks = importlib.import_module("snapshot_restore_py")
    except ImportError:
        return  # a runtime without hooks: dead connections are found by those who use them
    hooks.register_before_snapshot(_close)
    hooks.register_after_restore(random.seed)


def _close() -> None:
    for pool in list(_POOLS):
        pool.abandon()
