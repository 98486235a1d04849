"""A Redis server in a dictionary that executes one command at a time: where a test decides who goes next.

It parses the very bytes that the shipped provider packs, so the order of commands under test is the shipped one. It
knows only what the provider sends, and the provider contract is run over it as over the real server, in
`test_simulated_redis`. Scripts are recognised by their digest and written out in Python.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ResponseError

from staleproof.entry import ended, prolonged
from staleproof.providers.redis import scripts
from staleproof.providers.redis.exchange import Exchange
from staleproof.providers.redis.journal import JournalSteps
from staleproof.tags import succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.clock import ManualClock


def parsed(packed: bytes) -> list[list[bytes]]:
    """Return the packed commands, as lists of byte strings."""
    reader = hiredis.Reader()
    reader.feed(packed)
    found: list[list[bytes]] = []
    while (command := reader.gets()) is not False:
        found.append(command)
    return found


class SimulatedRedis:
    """Keys with deadlines, and streams; `execute` is atomic, as on the server."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.strings: dict[bytes, tuple[bytes, float | None]] = {}
        self.streams: dict[bytes, list[tuple[tuple[int, int], list[bytes]]]] = {}
        self.last_ids: dict[bytes, tuple[int, int]] = {}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        self.sorted_sets: dict[bytes, dict[bytes, float]] = {}

    def execute(self, command: list[bytes]) -> Any:
        name, *arguments = command
        handler: Callable[..., Any] = getattr(self, f"do_{name.decode().lower()}")
        return handler(*arguments)

    # --- strings ---------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        value, deadline = self.strings.get(key, (None, None))
        if deadline is not None and deadline <= self.clock.now().monotonic:
            del self.strings[key]
            return None
        return value

    def do_get(self, key: bytes) -> bytes | None:
        return self.get(key)

    def do_getrange(self, key: bytes, start: bytes, end: bytes) -> bytes:
        return (self.get(key) or b"")[int(start) : int(end) + 1]

    def do_mget(self, *keys: bytes) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        held = self.get(key)
        deadline = None
        if b"PX" in options:
            life = int(options[options.index(b"PX") + 1])
            deadline = self.clock.now().monotonic + life / 1_000
        if held is None or b"NX" not in options:
            self.strings[key] = (value, deadline)
        return held if b"GET" in options else b"OK"

    def do_pexpire(self, key: bytes, life: bytes, condition: bytes) -> int:
        assert condition == b"GT"
        value = self.get(key)
        deadline = self.clock.now().monotonic + int(life) / 1_000
        held = self.strings[key][1] if value is not None else None
        if value is None or held is None or held >= deadline:
            return 0
        self.strings[key] = (value, deadline)
        return 1

    def do_persist(self, key: bytes) -> int:
        value = self.get(key)
        if value is not None:
            self.strings[key] = (value, None)
        return int(value is not None)

    def do_unlink(self, *keys: bytes) -> int:
        stores: tuple[dict[bytes, Any], ...] = (self.strings, self.streams, self.hashes, self.sorted_sets)
        return sum(store.pop(key, None) is not None for store in stores for key in keys)

    def do_bitfield(self, key: bytes, *words: bytes) -> list[int]:
        held = bytearray(self.get(key) or b"")
        counters = []
        for kind, width, slot, step in zip(words[::4], words[1::4], words[2::4], words[3::4], strict=True):
            assert (kind, width, slot[:1]) == (b"INCRBY", b"u32", b"#")
            at = int(slot[1:]) * 4
            held.extend(bytes(max(0, at + 4 - len(held))))
            counter = (int.from_bytes(held[at : at + 4], "big") + int(step)) % 2**32
            held[at : at + 4] = counter.to_bytes(4, "big")
            counters.append(counter)
        self.strings[key] = (bytes(held), self.strings.get(key, (b"", None))[1])
        return counters

    # --- scripts ---------------------------------------------------------------------------------

    def do_evalsha(self, digest: bytes, count: bytes, *rest: bytes) -> Any:
        keys, arguments = rest[: int(count)], rest[int(count) :]
        known: dict[str, Callable[..., Any]] = {
            scripts.PROMOTE.digest: self.promote,
            scripts.RELEASE.digest: self.release,
            scripts.EXPIRE.digest: self.expire,
        }
        return known[digest.decode()](*keys, *arguments)

    def do_eval(self, body: bytes, count: bytes, *rest: bytes) -> Any:
        known: dict[bytes, Callable[..., Any]] = {
            scripts.FENCE.body: self.fence,
            scripts.GUARD.body: self.guard,
            scripts.SOFTEN_TAG.body: self.soften_tag,
            scripts.SOFTEN_KEY.body: self.soften_key,
        }
        return known[body](*rest)

    def expire(self, key: bytes, seen: bytes, end: bytes, life: bytes) -> int:
        moved = prolonged(self.get(key) or b"", *(int.from_bytes(each, "little") for each in (seen, end)))
        if moved is None:
            return 0
        deadline = self.clock.now().monotonic + int(life) / 1_000 if int(life) else None
        self.strings[key] = (moved, deadline)
        return 1

    def soften_tag(self, key: bytes, version: bytes, moment: bytes) -> int:
        held = self.get(key)
        if held is None:
            return 0
        kept = succeeded(held, version, int.from_bytes(moment, "little"))
        self.strings[key] = (kept, self.strings[key][1])
        return 1

    def soften_key(self, key: bytes, *rest: bytes) -> int:
        *leases, moment = rest
        for lease in leases:
            self.strings.pop(lease, None)
        moved = ended(self.get(key) or b"", int.from_bytes(moment, "little"))
        if moved is None:
            self.strings.pop(key, None)
            return 0
        self.strings[key] = (moved, self.strings[key][1])
        return 1

    def do_scan(self, cursor: bytes, _match: bytes, pattern: bytes, _count: bytes, limit: bytes) -> Any:
        glob = fnmatch.translate(pattern.decode())
        names = [
            name
            for name in sorted(self.strings)
            if re.match(glob.encode(), name, re.DOTALL) and self.get(name)
        ]
        start, end = int(cursor), int(cursor) + int(limit)
        return [str(end if end < len(names) else 0).encode(), names[start:end]]

    def guard(self, key: bytes, fresh: bytes) -> bytes:
        held = self.get(key)
        if held is None or len(held) != len(fresh) or held[:8] == bytes(8):
            held = fresh
            self.strings[key] = (fresh, None)
        return held

    def promote(self, lease: bytes, entry: bytes, staged: bytes, token: bytes, keep: bytes) -> int:
        if self.get(lease) != token:
            self.strings.pop(staged, None)
            return 0
        del self.strings[lease]
        if self.get(staged) is None:
            return 0
        value, deadline = self.strings.pop(staged)
        self.strings[entry] = (value, None if keep == b"1" else deadline)
        return 1

    def release(self, lease: bytes, token: bytes) -> int:
        return int(self.get(lease) == token and bool(self.strings.pop(lease)))

    def fence(self, key: bytes, row: bytes, life: bytes) -> bytes:
        greatest = max(int(self.get(key) or b"0"), int(row))
        now = self.clock.now().monotonic
        deadline = max(now + int(life) / 1_000, self.strings.get(key, (b"", 0.0))[1] or 0.0)
        self.strings[key] = (str(greatest).encode(), deadline)
        return str(greatest).encode()

    # --- streams ---------------------------------------------------------------------------------

    def do_xadd(self, key: bytes, _star: bytes, *fields: bytes) -> bytes:
        milliseconds = int(self.clock.now().wall * 1_000)
        last = self.last_ids.get(key, (0, 0)) if key in self.streams else (0, 0)
        place = (milliseconds, 0) if milliseconds > last[0] else (last[0], last[1] + 1)
        self.last_ids[key] = place
        self.streams.setdefault(key, []).append((place, list(fields)))
        return _id(place)

    def do_xrange(self, key: bytes, start: bytes, end: bytes, _count: bytes, limit: bytes) -> list[Any]:
        assert end == b"+"
        least = (0, 0) if start == b"-" else _order(start)
        records = [record for record in self.streams.get(key, []) if record[0] >= least]
        return [[_id(place), fields] for place, fields in records[: int(limit)]]

    def do_xrevrange(self, key: bytes, *_: bytes) -> list[Any]:
        return [[_id(place), fields] for place, fields in self.streams.get(key, [])[-1:]]

    def do_xtrim(self, key: bytes, kind: bytes, least: bytes) -> int:
        assert kind == b"MINID"
        records = self.streams.get(key, [])
        kept = [record for record in records if record[0] >= _order(least)]
        self.streams[key] = kept
        return len(records) - len(kept)

    # --- links and the rest --------------------------------------------------------------------------

    def do_hsetnx(self, key: bytes, field: bytes, value: bytes) -> int:
        return int(self.hashes.setdefault(key, {}).setdefault(field, value) is value)

    def do_hset(self, key: bytes, field: bytes, value: bytes) -> int:
        self.hashes.setdefault(key, {})[field] = value
        return 1

    def do_hget(self, key: bytes, field: bytes) -> bytes | None:
        return self.hashes.get(key, {}).get(field)

    def do_hdel(self, key: bytes, field: bytes) -> int:
        return int(self.hashes.get(key, {}).pop(field, None) is not None)

    def do_hkeys(self, key: bytes) -> list[bytes]:
        return list(self.hashes.get(key, {}))

    def do_hvals(self, key: bytes) -> list[bytes]:
        return list(self.hashes.get(key, {}).values())

    def do_zadd(self, key: bytes, *pairs: bytes) -> int:
        members = self.sorted_sets.setdefault(key, {})
        members.update({member: float(score) for score, member in zip(pairs[::2], pairs[1::2], strict=True)})
        return len(members)

    def do_zrangebyscore(self, key: bytes, low: bytes, high: bytes) -> list[bytes]:
        members = self.sorted_sets.get(key, {})
        return [member for member, score in members.items() if float(low) <= score <= float(high)]

    def do_zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> int:
        gone = self.do_zrangebyscore(key, low, high)
        for member in gone:
            del self.sorted_sets[key][member]
        return len(gone)

    def do_time(self) -> list[bytes]:
        return [str(int(self.clock.now().wall)).encode(), b"0"]


class SimulatedConnections:
    """Whole exchanges at once, for the contract; `RedisProvider` takes it for its connections."""

    where = "simulated"
    steps = JournalSteps
    watch = 0.0
    durability = "primary"

    def __init__(self, server: SimulatedRedis) -> None:
        self.server = server

    def exchange(self, exchange: Exchange) -> list[Any]:
        return list(self.replies(exchange))

    def ask(self, packed: bytes) -> Any:
        return self.exchange(Exchange(packed, 1))[0]

    def replies(self, exchange: Exchange) -> Iterator[Any]:
        for command in parsed(exchange.packed):
            try:
                yield self.server.execute(command)
            except ResponseError as error:
                yield error

    def close(self) -> None:
        pass


def _id(place: tuple[int, int]) -> bytes:
    return f"{place[0]}-{place[1]}".encode()


def _order(place: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = place.partition(b"-")
    return int(milliseconds), int(sequence or 0)
