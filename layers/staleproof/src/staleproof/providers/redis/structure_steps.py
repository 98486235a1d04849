"""The steps of data structures as Redis commands, without I/O; see `staleproof.ports.structures`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from staleproof.errors import ProviderRejectedError
from staleproof.ports.structures import STAMP as MAGIC
from staleproof.ports.structures import digest, is_stamp, occupied
from staleproof.providers.redis.steps import Steps
from staleproof.providers.redis.structure_scripts import MERGE, STAMP, WRITE
from staleproof.tags import VERSION_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.ports.structures import Operation
    from staleproof.providers.redis.exchange import Command
    from staleproof.providers.redis.scripts import Script
    from staleproof.providers.redis.steps import Step
    from staleproof.tags import TagId


class StructureSteps(Steps):
    """Finding a body, and operating on it."""

    def locate(self, key: str, tags: Sequence[TagId], life_ms: int) -> Step[bytes]:
        """Return the name of the body of *key*: versions and stamp that are missing are made, the others prolonged."""
        offered = [os.urandom(VERSION_BYTES) for _ in tags]
        fresh = MAGIC + os.urandom(VERSION_BYTES)
        stamped = self._call(STAMP, (self.keys.entry(key),), MAGIC, fresh, life_ms)
        versions = self._versions(tags, offered, life_ms)
        *replies, stamp = yield self._send([*versions, (stamped,)], foreign=True, once=True)
        if not is_stamp(stamp):
            raise ProviderRejectedError(occupied(key))
        snapshot = yield from self._captured(tags, offered, replies, life_ms, guard=False)
        return self.keys.body(key, digest(stamp, snapshot.versions))

    def operate(self, body: bytes, operations: Sequence[Operation]) -> Step[list[Any]]:
        """Do *operations* in their order: one unit, for what is about one body has one order."""
        if not operations:
            return []
        once = any(each.once for each in operations)
        # Several that must be done once go by the scripts' texts: of a digest that the server does not know, somebody
        # else may teach it between two of them, and then all would be sent again behind some that were done.
        scripted = self._scripted or (once and len(operations) > 1)
        unit = [_command(body, each, scripted=scripted) for each in operations]
        replies: list[Any] = yield self._send([unit], once=once)
        return replies


def _command(body: bytes, operation: Operation, *, scripted: bool) -> Command:
    command, arguments, ttl_ms, _ = operation
    if not ttl_ms:
        return (command, body, *arguments)
    if command == "PFMERGE":
        return _call(MERGE, (body, body + b":t"), ttl_ms, *arguments, scripted=scripted)
    return _call(WRITE, (body,), ttl_ms, command, *arguments, scripted=scripted)


def _call(script: Script, keys: Sequence[bytes], *arguments: bytes | str | int, scripted: bool) -> Command:
    head = ("EVAL", script.body) if scripted else ("EVALSHA", script.digest)
    return (*head, len(keys), *keys, *arguments)
