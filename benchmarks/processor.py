"""One processor core for client and server alike.

A round trip between two cores takes as long as a sleeping core needs to wake, several times what client and server have
to do, and the scheduler changes its mind about it in mid-run. On one core, only the work counts. What starts inside
inherits the restriction, so the servers and the peers' process run there too.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STATISTICS = Path("/proc/stat")
LOOK = 0.25
IDLE_FIELDS = (3, 4)
"""Where a line of `STATISTICS` counts idle time and waits for disks."""


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and its children on the core that is least used now; do nothing where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {least_used(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def least_used(
    cores: Iterable[int],
    read: Callable[[], str] = STATISTICS.read_text,
    pause: Callable[[float], object] = time.sleep,
) -> int:
    """Return which of *cores* did least between two looks, the last one in doubt."""
    before = _busy(read())
    pause(LOOK)
    after = _busy(read())
    return min(cores, key=lambda core: (after.get(core, 0) - before.get(core, 0), -core))


def _busy(text: str) -> dict[int, int]:
    busy = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(field) for field in fields[:8]]
            busy[int(name[3:])] = sum(ticks) - sum(ticks[at] for at in IDLE_FIELDS)
    return busy
