"""`Settlement`: finds out what the ring is, and brings all nodes from one ring to the next.

See `staleproof.providers.memcached.charter` for why. Everything here is sans-IO: generators that yield a `Talk`, whose
replies come by node, or `ASK`, which is answered by the list of nodes.
"""

from __future__ import annotations

from random import getrandbits
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.memcached import charter as charters
from staleproof.providers.memcached.adoption import OvertakenError, Seen, following, former, read
from staleproof.providers.memcached.members import Member, names
from staleproof.providers.memcached.view import Known, View
from staleproof.providers.memcached.wire import get, put

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Any

    from staleproof.providers.memcached.charter import Charter
    from staleproof.providers.memcached.discovery import Listing
    from staleproof.providers.memcached.members import Names as Members
    from staleproof.providers.memcached.names import Names

R = TypeVar("R")

POLL = 60.0
"""Seconds after which the list of nodes is asked for again, at the next use."""
RETRY = 5.0
"""Seconds after which it is asked for again that could not be had."""
COOLDOWN = 10.0
"""Seconds for which a client that was given a fixed list puts up with another list that is in use."""
TRIES = 8


class Talk(NamedTuple):
    """Requests for several nodes.

    Attributes:
        requests: by member.
        tolerant: what a node could not be asked is answered by the error, instead of raising it.
    """

    requests: Mapping[Member, Sequence[bytes]]
    tolerant: bool = False


class Ask(NamedTuple):
    """The question for the list of nodes."""


ASK = Ask()
Running: TypeAlias = "Generator[Talk | Ask, Any, R]"


class Settlement:
    """What one client knows of the ring of one namespace, and how the nodes are brought from one ring to the next.

    Args:
        keys: the namespace's names.
        fixed: the members, or None to have them discovered.
        poll: seconds after which the list is asked for again.
        clock: tells how old the list is.
    """

    def __init__(
        self,
        keys: Names,
        fixed: Sequence[Member] | None = None,
        *,
        poll: float = POLL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._keys = keys
        self.look = get(keys.ring, b"c f")
        self._fixed = fixed
        self._poll = poll
        self._clock = clock
        self.listing: Listing | None = None
        self._due = self._asked = clock.now()
        self._due_in = 0.0
        self._taken: float | None = None
        self._doubted = False
        self._failures: dict[str, ProviderError] = {}
        self.view: View | None = None

    @property
    def listed(self) -> Sequence[Member]:
        """The members as far as they are known."""
        return self.listing.members if self.listing is not None else ()

    def doubt(self, view: View) -> None:
        """Give up *view*: a node says that it is no longer true."""
        if self.view is view:
            self.view = None
            self._doubted = True

    def is_due(self) -> bool:
        """Say whether the list of nodes is to be asked for again."""
        return self._fixed is None and self._clock.now().elapsed(self._asked) >= self._due_in

    def settle(self) -> Running[View]:
        """Return the view of the ring as it is, after every node was told of it."""
        for _ in range(TRIES):
            members = yield from self.ask()
            try:
                view = yield from self._adopt(members)
            except OvertakenError:
                self._doubted = True
                continue
            self.view = view
            return view
        raise ProviderUnavailableError(
            "memcached: the nodes belong to another ring than the list of nodes says; retry, and give all "
            "applications of this namespace the same list"
        )

    def ask(self) -> Running[Sequence[Member]]:
        """Return the members, asking for them if they are due or doubted."""
        if self._fixed is not None:
            return self._fixed
        if self._doubted or self.listing is None or self.is_due():
            asked = self._clock.now()
            try:
                listing: Listing = yield ASK
            except ProviderError:
                self._asked, self._due_in = asked, min(self._poll, RETRY)
                if self.listing is None:
                    raise
            else:
                self._asked, self._due_in, self._doubted = asked, self._poll, False
                if self.listing is None or listing.version > self.listing.version:
                    self.listing = listing
        return self.listing.members

    def _adopt(self, members: Sequence[Member]) -> Running[View]:
        ring = names(members)
        by_name = {member.name: member for member in members}
        seen = yield from self._seen(members)
        newest = max((each.charter.version for each in seen.values() if each.charter), default=0)
        version = self._version(ring, seen, newest)
        if newest > version:
            raise OvertakenError
        is_complete = any(
            each.charter and each.charter.version == version and each.charter.complete
            for each in seen.values()
        )
        everybody = yield from self._everybody(by_name, seen)
        for _ in range(TRIES):
            wanted = {
                name: following(each.charter, version, ring, complete=is_complete)
                for name, each in seen.items()
            }
            changes = {name: charter for name, charter in wanted.items() if charter != seen[name].charter}
            if not changes:
                if is_complete:
                    return self._viewed(members, seen)
                missing = [name for name in by_name if name not in seen]
                if missing:
                    raise self.unreached(missing[0], changing=newest > 0)
                is_complete = True
                continue
            yield from self._write({everybody[name]: charter for name, charter in changes.items()}, seen)
            seen = yield from self._seen(list(everybody.values()))
        raise OvertakenError

    def _everybody(self, by_name: Mapping[str, Member], seen: dict[str, Seen]) -> Running[dict[str, Member]]:
        """Return all nodes to be told that can be: those of the ring, of the one before, and of any that these know."""
        everybody = dict(by_name)
        while True:
            others = former(seen, everybody)
            if not others:
                return {name: member for name, member in everybody.items() if name in seen}
            everybody |= others
            seen |= yield from self._seen(list(others.values()))

    def _version(self, ring: Members, seen: Mapping[str, Seen], newest: int) -> int:
        """Return the version of *ring*: what discovery says, or for a fixed list, the one after what is in use."""
        if self._fixed is None:
            return self.listing.version if self.listing else 0
        if not newest:
            return 1
        latest = [each.charter for each in seen.values() if each.charter and each.charter.version == newest]
        if all(charter.members == ring for charter in latest):
            return newest
        now = self._clock.monotonic()
        if self._taken is not None and now - self._taken < COOLDOWN:
            raise ProviderUnavailableError(
                f"memcached: another list of nodes is in use for this namespace: {', '.join(latest[0].members)}; "
                "retry, and give all its applications the same list"
            )
        self._taken = now
        return newest + 1

    def _viewed(self, members: Sequence[Member], seen: Mapping[str, Seen]) -> View:
        if self._taken is None:
            self._taken = self._clock.monotonic()
        here = {member.name for member in members}
        known = {
            name: Known(each.charter, each.line)
            for name, each in seen.items()
            if each.charter and name in here
        }
        return View(self._keys, members, known)

    def _seen(self, members: Sequence[Member]) -> Running[dict[str, Seen]]:
        """Return the charters of those *members* that answer."""
        ask = [get(self._keys.ring, b"v c f")]
        answers = yield Talk(dict.fromkeys(members, ask), tolerant=True)
        seen = {}
        for name, answer in answers.items():
            if isinstance(answer, ProviderError):
                self._failures[name] = answer
            else:
                seen[name] = read(answer[0])
        return seen

    def unreached(self, node: str, *, changing: bool) -> ProviderError:
        """Return what to raise because *node* cannot be asked."""
        failure = self._failures.get(node) or ProviderUnavailableError(f"memcached: {node} cannot be reached")
        if not changing or isinstance(failure, ProviderRejectedError):
            return failure
        return ProviderUnavailableError(
            f"memcached: the ring has changed, and {node} cannot be told: {failure}"
        )

    def _write(self, changes: Mapping[Member, Charter], seen: Mapping[str, Seen]) -> Running[None]:
        requests = {}
        for member, charter in changes.items():
            cas = seen[member.name].cas
            how = b" ME" if cas is None else b" C" + cas
            requests[member] = [
                put(self._keys.ring, charters.encode(charter), b"F%d" % getrandbits(32) + how)
            ]
        yield Talk(requests, tolerant=True)
