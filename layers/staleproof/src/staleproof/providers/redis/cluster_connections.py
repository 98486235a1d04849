"""Connections to all nodes of a cluster: one bounded pool a node, made when something goes there.

Theory of operation: `delivery` says what to send where, and what to do about redirections; this sends a round's groups
to all nodes before it reads from any, so that a wave costs the slowest node's round trip and not their sum. Wires of
several nodes are taken in the order of the nodes' addresses: two threads that wait for each other's cannot be.

The endpoint is asked for the topology at first, and again when no node that is known answers; its name is looked up
anew then. What is known is shared by all threads, and asked for by one at a time.
"""

from __future__ import annotations

import threading
import time
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof.providers.redis.chart import Chart
from staleproof.providers.redis.cluster_steps import ClusterSteps
from staleproof.providers.redis.connections import DEFAULT_MAX_CONNECTIONS, DEFAULT_TIMEOUT, checked_timeout
from staleproof.providers.redis.delivery import Delivery, Pause, Refresh
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.failures import check
from staleproof.providers.redis.groups import gathered, grouped, groups
from staleproof.providers.redis.node_connections import NodeConnections, Post
from staleproof.providers.redis.parcels import Tour, Waves
from staleproof.providers.redis.pool import forget_after_fork
from staleproof.providers.redis.slots import slot_of
from staleproof.providers.redis.topology import understood
from staleproof.providers.redis.tour import following, is_last, stop
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from staleproof.keys import Keyspace
    from staleproof.policies.duration import Duration
    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.delivery import Marks
    from staleproof.providers.redis.durability import Durability
    from staleproof.providers.redis.groups import Group, Outcome
    from staleproof.providers.redis.parcels import Parcel
    from staleproof.providers.redis.topology import Address, Topology

CLUSTER_SLOTS = commands([("CLUSTER", "SLOTS")])


def refuse() -> NoReturn:
    """Raise what greetings are answered with.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(
        "restarts='clear' is for one server; a cluster keeps what was acknowledged with durability='replicated'"
    )


class ClusterConnections:
    """Connections to a cluster.

    Args:
        url: its configuration endpoint, or any node; see `Connections`.
        timeout: seconds to wait for a connection, for each send and receive, and for a slot that is not ready.
        max_connections: how many exchanges may be under way at once with each node.
        credentials: see `Connections`; the same for all nodes.
        clock: see `Connections`.

    Raises:
        ConfigurationError: see `Connections`; and a cluster has no database but 0.
    """

    steps = ClusterSteps

    def __init__(
        self,
        url: str,
        *,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        credentials: Credentials | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        timeout = checked_timeout(timeout)
        self._endpoint = NodeConnections(
            url, timeout=timeout, max_connections=max_connections, credentials=credentials, clock=clock
        )
        self._endpoint.address  # noqa: B018 - raises if there can be no cluster
        self.where = self._endpoint.where
        self.durability: Durability = self._endpoint.durability
        self.chart = Chart(timeout)
        self.watch = inf  # not heeded: a node that serves a slot no more says so to whoever asks for it
        self._timeout = timeout
        self._nodes: dict[Address, NodeConnections] = {}
        self.forget()
        forget_after_fork(self)
        close_before_snapshot(self)

    def forget(self) -> None:
        """Begin with a free lock, whoever has it now."""
        self._asking = threading.Lock()

    def greet(self, _: Callable[..., object]) -> None:
        """Raise `ConfigurationError`: a node's connections cannot ask another node first."""
        refuse()

    # --- exchanging --------------------------------------------------------------------------------

    def exchange(self, request: Waves | Tour) -> list[Any]:
        """Send *request* wave by wave and return all replies; an error reply is raised, but for foreign keys.

        Raises:
            ProviderUnavailableError: a node cannot be reached, or a slot is not served.
            ProviderRejectedError: a handshake or a command was refused.
            UnsureError: what must not be sent twice was perhaps executed.
        """
        return self._tour(request) if isinstance(request, Tour) else self._deliver_all(request)

    def settled(self, request: Waves, keys: Keyspace) -> list[Any]:
        """Send *request*, and return the replies when all replicas that are online have what it wrote."""
        return self._deliver_all(request, keys.mark)

    def ask(self, parcels: Sequence[Parcel]) -> Any:
        """Send *parcels*, of one command each, as one wave; raises as `exchange` does."""
        places = grouped(parcels, self.chart.topology.owners)
        if None not in places:
            found = gathered(len(parcels), places, self._scatter(groups(parcels, places)))
            if found is not None:
                return found
        return self.exchange(Waves([parcels], foreign=True))

    def _deliver_all(self, request: Waves, marks: Marks | None = None) -> list[Any]:
        replies: list[Any] = []
        unsettled: ProviderUnavailableError | None = None
        for wave in request.waves:
            waited = marks if unsettled is None else None
            delivery = Delivery(wave, self._known(), self._timeout, waited, once=request.once)
            answered = self._drive(delivery)
            check(answered, self, foreign=request.foreign)
            replies += answered
            unsettled = unsettled or delivery.unsettled
        if unsettled is not None:
            raise unsettled
        return replies

    def _drive(self, delivery: Delivery) -> list[Any]:
        run = delivery.run()
        answer: Any = None
        while True:
            try:
                wanted = run.send(answer)
            except StopIteration as end:
                replies: list[Any] = end.value
                return replies
            answer = None
            if isinstance(wanted, Pause):
                time.sleep(wanted.seconds)
            elif isinstance(wanted, Refresh):
                self._refresh(wanted.lost)
            else:
                answer = self._scatter(wanted)

    def _scatter(self, sends: Sequence[Group]) -> Sequence[Outcome]:
        """Send to all before reading from any."""
        if len(sends) == 1:
            (group,) = sends
            return [self._node(group.address).outcome(group.exchange)]
        posts = [Post(self._node(group.address), group.exchange) for group in sends]
        try:
            for at in sorted(range(len(sends)), key=lambda at: sends[at].address):
                posts[at].send()
            return [post.outcome() for post in posts]
        except BaseException:
            for post in posts:
                post.drop()
            raise

    def _tour(self, tour: Tour) -> list[Any]:
        topology = self._known().topology
        at = stop(topology, tour.cursor)
        command = ("SCAN", at.place, "MATCH", tour.pattern, "COUNT", tour.limit)
        try:
            (reply,) = self._node(at.address).exchange(commands([command]))
        except ProviderUnavailableError:
            self.renew()
            raise
        check([reply], self)
        if is_last(topology, at, reply[0]):
            self.renew()  # slots that changed hands meanwhile were perhaps overtaken
        return [following(self._known().topology, at, reply[0]), reply[1]]

    # --- who serves what -----------------------------------------------------------------------------

    def _node(self, address: Address) -> NodeConnections:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes.setdefault(address, self._endpoint.beside(*address))
        return node

    def _known(self) -> Chart:
        if self.chart.unsure:
            self._refresh()
        return self.chart

    def _refresh(self, lost: Collection[Address] = ()) -> None:
        """Ask who serves what, unless that was done just now."""
        with self._asking:
            if not self.chart.is_due():
                return
            error: ProviderUnavailableError | None = None
            for node in [*map(self._node, self.chart.asked(lost)), self._endpoint]:
                try:
                    topology = self._asked(node)
                except ProviderUnavailableError as unavailable:
                    error = unavailable
                    continue
                self.chart.replace(topology)
                self._part()
                return
            self.chart.fail(error)

    def _asked(self, node: NodeConnections) -> Topology:
        if node is self._endpoint:
            node.renew()  # its name may lead elsewhere by now
        (reply,) = node.exchange(CLUSTER_SLOTS)
        return understood(reply, node.address)

    def _part(self) -> None:
        """Close connections to nodes that serve nothing any more."""
        serving = set(self.chart.topology.primaries)
        for address in [each for each in self._nodes if each not in serving]:
            node = self._nodes.pop(address, None)
            if node is not None:
                node.close()

    def apart(self, *, name: bytes, **options: Any) -> Any:
        """See `Connections.apart`; it leads to the node that has the key *name*."""
        owner = self._known().topology.owners[slot_of(name)]
        if owner is None:
            self.renew()
            raise ProviderUnavailableError(f"hash slot {slot_of(name)} is not served; retry")
        return self._node(owner).apart(**options)

    def abandon(self) -> None:
        """Have the next exchange ask again who serves what; the nodes' connections close themselves."""
        self.renew()

    def renew(self) -> None:
        """Have the next exchange ask again who serves what."""
        self.chart.doubt()

    def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        for node in [self._endpoint, *list(self._nodes.values())]:
            node.close()
