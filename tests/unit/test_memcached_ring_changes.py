"""P1 and P6 while the ring changes: several clients with different ideas of it, stepped in any order.

The clients are the real steps and the real `Membership`, without I/O; the nodes are simulated, and keep what they hold
while they are no part of the ring: a returning node brings back everything that it had.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from staleproof.clock import ManualClock
from staleproof.errors import ProviderUnavailableError
from staleproof.ports import Claim, Deposit
from staleproof.providers.memcached.discovery import Listing
from staleproof.providers.memcached.members import member_of
from staleproof.providers.memcached.membership import Membership
from staleproof.providers.memcached.names import Names
from staleproof.providers.memcached.rotation import invalidate
from staleproof.providers.memcached.settlement import Ask
from staleproof.providers.memcached.steps import Steps
from staleproof.tags import ROOT, tag_id
from staleproof.testing.examples import MINUTE, invalidation
from tests.unit.memcached_simulated import SimulatedNode, talk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

NODES = [f"a{number}:1" for number in range(4)]
KEYS = ["one", "two"]
TAGS = ["red", "blue"]


class World:
    """Nodes, the list of nodes, a source whose value grows with every write, and the judge."""

    def __init__(self) -> None:
        self.nodes = {name: SimulatedNode() for name in NODES}
        self.listing = Listing(1, tuple(map(member_of, NODES[:2])))
        self.now = 0
        self.written = dict.fromkeys([*KEYS, *TAGS], 0)
        self.hits = 0

    def change(self, members: list[str]) -> None:
        self.listing = Listing(self.listing.version + 1, tuple(map(member_of, members)))

    def tick(self) -> int:
        self.now += 1
        return self.now


class Client:
    """One process: it learns of a new ring when a node tells it, or when it is made to ask."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = ManualClock()
        self.membership = Membership(Names("t"), clock=self.clock)
        self.steps = Steps(self.clock)
        self.work: Generator[None, None, None] | None = None

    def run(self, step: Any) -> Generator[None, None, Any]:
        """Run one step, pausing before every exchange."""
        running, answer, failure = self.membership.run(step), None, None
        while True:
            try:
                asked = running.send(answer) if failure is None else running.throw(failure)
            except StopIteration as end:
                return end.value
            yield
            answer = failure = None
            try:
                answer = self.world.listing if isinstance(asked, Ask) else talk(self.world.nodes, asked)
            except ProviderUnavailableError as error:
                failure = error

    def read_or_load(self, key: str, tag: str, lease: bytes) -> Generator[None, None, None]:
        """Serve *key* as a cache would, and judge what was read."""
        world, ids = self.world, [ROOT, tag_id(tag)]
        least = max(world.written[key], world.written[tag])  # what had been invalidated when this read began
        raw, versions = yield from self.run(lambda view: self.steps.read(view, key, ids))
        if raw is not None and None not in versions and raw[8:] == b"".join(versions):
            world.hits += 1
            assert int.from_bytes(raw[:8], "big") >= least, f"stale: {key} under {tag}"
            return
        claims = [Claim(key, ids, lease)]
        (begun,) = yield from self.run(
            lambda view: self.steps.begin_many(view, claims, MINUTE, MINUTE, guard=False)
        )
        if not begun.leased:
            return
        loaded = world.tick()
        yield
        entry = loaded.to_bytes(8, "big") + b"".join(begun.snapshot.versions)
        deposits = [Deposit(key, entry, MINUTE, lease)]
        yield from self.run(lambda view: self.steps.store_many(view, deposits))

    def forget(self, *, key: str = "", tag: str = "") -> Generator[None, None, None]:
        """Invalidate; from the return on, nothing loaded before it began may be read."""
        world = self.world
        began = world.tick()
        record = invalidation(*([tag] if tag else []), keys=(key,) if key else ())
        yield from self.run(lambda view: invalidate(view, [record]))
        world.written[key or tag] = max(world.written[key or tag], began)

    def catch_up(self) -> None:
        """Finish what is under way, and learn of the newest ring."""
        while self.work is not None:
            self.step()
        self.clock.advance(3_600)
        self.work = self.run(lambda view: self.steps.read_many(view, []))
        while self.work is not None:
            self.step()

    def step(self) -> None:
        """Go on with what is under way, up to the next exchange."""
        if self.work is None:
            return
        try:
            next(self.work)
        except StopIteration:
            self.work = None
        except ProviderUnavailableError:
            self.work = None  # not served from here, or to be tried again: no promise was made


KINDS = {"work": 20, "steps": 60, "ring": 2, "ask": 3, "restart": 0.3, "down": 0.3, "up": 3, "evict": 1}
"""What may happen next, and how often."""


def perform(world: World, clients: list[Client], random: Random, number: int) -> None:
    """Let one thing happen."""
    (kind,) = random.choices(list(KINDS), list(KINDS.values()))
    client = random.choice(clients)
    if kind == "work" and client.work is None:
        client.work = some_work(client, random, number)
    elif kind == "steps":
        client.step()
    elif kind == "ring" and all(node.up for node in world.nodes.values()):
        world.change(some_ring(world, clients, random))
    elif kind == "ask":
        client.clock.advance(3_600)
    elif kind in {"restart", "evict", "down", "up"}:
        disturb(world, clients, random, kind)


def disturb(world: World, clients: list[Client], random: Random, kind: str) -> None:
    """Let a node of the ring lose something, or be away.

    Two things at once are beyond what is promised, until the list of nodes is asked for again: that a charter is lost,
    or a node cannot be told, while a client does not know of the newest ring yet.
    """
    node = world.nodes[random.choice(world.listing.members).name]
    lost = random.choice(sorted(node.items)) if kind == "evict" and node.items else b""
    if kind == "restart" or lost.endswith(b":ring"):
        for client in clients:
            client.catch_up()
    if kind == "restart":
        node.items.clear()
    elif lost:
        node.items.pop(lost, None)
    if kind == "restart" or lost.endswith(b":ring"):
        clients[0].membership.view = None
        clients[0].catch_up()  # whoever uses the node next writes its charter anew
    if kind == "up":
        for each in world.nodes.values():
            each.up = True
    elif kind == "down":
        for client in clients:
            client.catch_up()
        node.up = False


def some_ring(world: World, clients: list[Client], random: Random) -> list[str]:
    """Return another ring. It shares a node with whatever ring a client may still use: that node tells the client."""
    used = {member.name for member in world.listing.members}
    for client in clients:
        used &= {member.name for member in client.membership.listed} or used
    if not used:
        return [member.name for member in world.listing.members]
    return sorted({random.choice(sorted(used)), *random.sample(NODES, random.choice((0, 1, 1, 2)))})


def some_work(client: Client, random: Random, number: int) -> Generator[None, None, None]:
    """Return something that a client may do."""
    key, tag = random.choice(KEYS), random.choice(TAGS)
    which = random.random()
    if which < 0.75:
        return client.read_or_load(key, tag, b"lease %d" % number)
    return client.forget(tag=tag) if which < 0.83 else client.forget(key=key)


def run(seed: int, actions: int) -> int:
    """Let much happen, then read everything from everywhere; return the number of hits."""
    world, random = World(), Random(seed)
    clients = [Client(world) for _ in range(3)]
    for number in range(actions):
        perform(world, clients, random, number)
    for node in world.nodes.values():
        node.up = True
    for number, client in enumerate(clients):
        while client.work is not None:
            client.step()
        for key in KEYS:
            for tag in TAGS:
                finish(client.read_or_load(key, tag, b"last %d" % number))
    return world.hits


SEEDS, ACTIONS = 250, 500


def test_no_read_is_stale_whatever_the_ring_does() -> None:
    """After an invalidation returned, no client with any idea of the ring reads what was loaded before it."""
    hits = 0
    for seed in range(SEEDS):
        try:
            hits += run(seed, ACTIONS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert hits > SEEDS, "the judge had too little to judge"


def finish(work: Iterator[None]) -> None:
    for _ in work:
        pass


def result(work: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_what_a_node_had_before_it_left_is_out_of_reach() -> None:
    """Loaded, invalidated while the node was away, and not served when it returns with its old contents."""
    world = World()
    world.listing = Listing(1, tuple(map(member_of, NODES)))
    client = Client(world)
    for key in KEYS:
        finish(client.read_or_load(key, "red", b"first"))
    before = world.hits
    for key in KEYS:
        finish(client.read_or_load(key, "red", b"again"))
    assert world.hits == before + len(KEYS)
    world.change(NODES[:1])
    client.clock.advance(3_600)
    finish(client.forget(tag="red"))
    world.change(NODES)
    client.clock.advance(3_600)
    finish(client.read_or_load(KEYS[0], "red", b"second"))
    assert world.hits == before + len(KEYS)


def test_what_stays_where_it_was_stays_a_hit() -> None:
    """A node that is added takes its share of the keys; the others are still hits, also when it goes again."""
    world = World()
    world.listing = Listing(1, tuple(map(member_of, NODES[:3])))
    client = Client(world)
    keys = [f"many:{number}" for number in range(60)]
    world.written |= dict.fromkeys(keys, 0)
    for members in (NODES[:3], NODES, NODES[:3]):
        if world.now:
            world.change(members)
            client.clock.advance(3_600)
        for key in keys:
            finish(client.read_or_load(key, "red", b"fill " + key.encode()))
        world.hits = 0
        for key in keys:
            finish(client.read_or_load(key, "red", b"more " + key.encode()))
        assert world.hits == len(keys)
    loads = world.now
    assert loads < 3 * len(keys)


def test_an_unreachable_member_holds_a_new_ring_back() -> None:
    """A node that may still be used by others must be told of the ring before it is used."""
    world = World()
    first, second = Client(world), Client(world)
    finish(first.read_or_load(KEYS[0], "red", b"first"))
    world.change(NODES[:3])
    world.nodes[NODES[0]].up = False
    with pytest.raises(ProviderUnavailableError, match="cannot be told"):
        finish(second.read_or_load(KEYS[0], "red", b"second"))
    world.nodes[NODES[0]].up = True
    finish(second.read_or_load(KEYS[0], "red", b"second"))


def test_a_client_of_the_old_ring_is_told_by_a_node_that_was_removed() -> None:
    """He reads from a node that is no part of the ring any more, and asks for the list before he believes it."""
    world = World()
    world.listing = Listing(1, tuple(map(member_of, NODES)))
    old, new = Client(world), Client(world)
    keys = [f"many:{number}" for number in range(20)]
    world.written |= dict.fromkeys(keys, 0)
    for key in keys:
        finish(old.read_or_load(key, "red", b"first"))
    world.change(NODES[:1])
    for key in keys:
        finish(new.forget(key=key))
    assert [result(old.run(partial(old.steps.read, key=key, tags=[]))).entry for key in keys] == [None] * len(
        keys
    )


def test_a_node_that_could_not_be_told_has_forgotten_everything_when_it_returns() -> None:
    """It was away while the ring changed without it and back: a version was skipped, so nothing there is believed."""
    world = World()
    client = Client(world)
    keys = [f"many:{number}" for number in range(20)]
    world.written |= dict.fromkeys(keys, 0)
    for key in keys:
        finish(client.read_or_load(key, "red", b"first"))
    node = world.nodes[NODES[1]]
    node.up = False
    world.change(NODES[:1])
    client.clock.advance(3_600)
    for key in keys:
        finish(client.forget(key=key))
    node.up = True
    world.change(NODES[:2])
    client.clock.advance(3_600)
    for key in keys:
        finish(client.read_or_load(key, "red", b"again"))


def test_a_fixed_list_takes_over_once() -> None:
    """Two fleets with different lists are never both in use: who began later is; the other waits before it retries."""
    world = World()
    mine, other = Client(world), Client(world)
    for client, nodes in ((mine, NODES[:2]), (other, NODES[1:3])):
        client.membership = Membership(Names("t"), tuple(map(member_of, nodes)), clock=client.clock)
    finish(mine.read_or_load(KEYS[0], "red", b"mine"))
    finish(other.read_or_load(KEYS[0], "red", b"other"))
    with pytest.raises(ProviderUnavailableError, match="another list of nodes is in use"):
        finish(mine.forget(key=KEYS[0]))
    mine.clock.advance(60)
    finish(mine.forget(key=KEYS[0]))
    with pytest.raises(ProviderUnavailableError, match="another list of nodes is in use"):
        finish(other.read_or_load(KEYS[0], "red", b"other"))
