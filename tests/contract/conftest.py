"""What takes longer than it costs: a server whose clock ticks once a second is waited for, three seconds a test."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that wait for Memcached's clock out of the fast suite."""
    for item in items:
        if item.path.name == "test_memcached.py" and "elapse" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
