"""What takes longer than it costs: a server whose clock ticks once a second is waited for, three seconds a test.

Such tests are slow ones, and run on one node blocking and on three nodes awaited: other combinations wait for the
same clock and say nothing new.
"""

from __future__ import annotations

import pytest

WAITED_FOR = {"TestMemcached", "TestAsyncMemcachedThree"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that wait for Memcached's clock few, and out of the fast suite."""
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        waits = item.path.name == "test_memcached.py" and "elapse" in getattr(item, "fixturenames", ())
        if waits:
            item.add_marker(pytest.mark.slow)
        named = getattr(getattr(item, "cls", None), "__name__", "")
        (left if waits and named not in WAITED_FOR else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)
