"""How a process learns that its owner is gone, whatever ended it: a clean exit, Ctrl-C, a crash or `kill -9`.

An owner holds one end of a socket pair and the owned process the other. Two signs are watched, since each
has a hole that the other closes:

- the other end is closed. A copy of it that was forked into an unrelated process keeps it open;
- the owner's process is gone (Linux: its pidfd becomes readable, whichever of its threads started us, unlike
  `PR_SET_PDEATHSIG`, which fires when the *thread* ends).

This module imports nothing of ours: a program run by its file alone uses it too.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

HANGUP = select.POLLHUP | getattr(select, "POLLRDHUP", 0)


def owner_descriptor(owner: int) -> int | None:
    """Return a descriptor that becomes readable when the process *owner* ends; None where there is no such thing."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(owner)
    except OSError:  # already gone, or a kernel without it: the socket's end tells
        return None


def wait_for_owner(connection: socket.socket, owner: int) -> None:
    """Return when the other end of *connection* is closed or the process *owner* has ended."""
    watched = select.poll()
    watched.register(connection.fileno(), HANGUP)
    descriptor = owner_descriptor(owner)
    if descriptor is not None:
        watched.register(descriptor, select.POLLIN)
    watched.poll()


def end_with_owner(connection: socket.socket, owner: int) -> None:
    """End this process, in the middle of whatever it does, as soon as its owner is gone."""

    def watch() -> None:
        wait_for_owner(connection, owner)
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
