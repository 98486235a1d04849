"""A real Valkey cluster, and pairs of primary and replica, on the loopback: made, reshaped and killed by whoever tests.

A cluster's bus needs a second port for each node; both are free ones. Slots are spread evenly, replicas turn by turn.
`ValkeyCluster.move` does what an operator's resharding does, key by key, so that clients meet it in all its states.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import redis

from local.conditions import wait_until
from local.loopback import HOST, free_port
from local.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from local.supervisor import Supervisor

SLOTS = 16_384
NODE_TIMEOUT_MS = 2_000
KEYS_A_STEP = 10
PATIENCE_MS = 5_000


class ValkeyNode(Valkey):
    """One node of a cluster. It keeps its ports, and what it knows of the cluster, over `kill` and `start`.

    Args:
        supervisor: owns the process.
        name: names the process and its log.
        node_timeout_ms: how long a node may be silent before the others call it failed.
        binary: another server that understands the same options.
        options: further options of the server.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        *,
        node_timeout_ms: int = NODE_TIMEOUT_MS,
        binary: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(supervisor, name)
        self._node_timeout_ms = node_timeout_ms
        self._binary = binary
        self._options = options
        self.bus_port = 0

    def _command(self, port: int) -> list[str]:
        self.bus_port = self.bus_port or free_port()
        binary, *options = super()._command(port)
        return [
            self._binary or binary,
            *options,
            *("--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)),
            *("--cluster-node-timeout", str(self._node_timeout_ms)),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
            *self._options,
        ]

    def start(self, timeout: float = 10.0) -> None:
        """See `Valkey.start`; a node that begins anew on other ports gets another bus port, too."""
        if not self.port:
            self.bus_port = 0
        super().start(timeout)

    def ask(self, *command: Any) -> Any:
        """Return the node's reply to *command*."""
        return ask(self, *command)

    @property
    def id(self) -> str:
        """The node's name in the cluster."""
        return str(self.ask("CLUSTER", "MYID").decode())


class ValkeyCluster:
    """Primaries with their replicas.

    Args:
        supervisor: owns the processes.
        name: begins the names of the processes.
        primaries: how many share the slots.
        replicas: how many each of them has.
        spare: how many more primaries there are, without slots.
        node_timeout_ms: see `ValkeyNode`.
        binary: see `ValkeyNode`.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        *,
        primaries: int = 3,
        replicas: int = 0,
        spare: int = 0,
        node_timeout_ms: int = NODE_TIMEOUT_MS,
        binary: str | None = None,
    ) -> None:
        count = primaries * (1 + replicas) + spare
        self.nodes = [
            ValkeyNode(supervisor, f"{name}-{number}", node_timeout_ms=node_timeout_ms, binary=binary)
            for number in range(count)
        ]
        self.primaries = self.nodes[:primaries]
        self.replicas = self.nodes[primaries : primaries * (1 + replicas)]
        self.spare = self.nodes[primaries * (1 + replicas) :]

    @property
    def url(self) -> str:
        """Where clients connect: a node that lives."""
        return next(node for node in self.nodes if node.ping()).url

    def start(self) -> Self:
        """Start the nodes, introduce them, share the slots, and wait until every one says that all is well."""
        for node in self.nodes:
            node.start()
        for number, (node, (first, last)) in enumerate(zip(self.primaries, self._shares(), strict=True)):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", HOST, node.port, node.bus_port)
        wait_until(lambda: all(map(self._knows_all, self.nodes)), "the nodes know one another")
        for number, node in enumerate(self.replicas):
            node.ask("CLUSTER", "REPLICATE", self.primaries[number % len(self.primaries)].id)
        self.settled()
        return self

    def settled(self) -> None:
        """Wait until every living node says that all slots are served, and every replica is in step."""
        wait_until(lambda: all(_is_well(node) for node in self.nodes if node.ping()), "the cluster is well")

    def owner(self, slot: int) -> ValkeyNode:
        """Return the primary that has *slot*, as a living node says."""
        by_port = {node.port: node for node in self.nodes}
        view = next(node for node in self.nodes if node.ping())
        for first, last, (_, port, *_), *_ in view.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return by_port[port]
        raise LookupError(f"slot {slot} is not served")

    def replica_of(self, primary: ValkeyNode) -> ValkeyNode:
        """Return a replica of *primary*."""
        follows = b"myself,slave " + primary.id.encode()
        for node in self.nodes:
            if node.ping() and follows in node.ask("CLUSTER", "NODES"):
                return node
        raise LookupError(f"{primary.name} has no replica")

    def move(self, slot: int, target: ValkeyNode, *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Move *slot* to *target*, some keys at a time, as an operator does; *meanwhile* is called between."""
        source = self.owner(slot)
        if source is target:
            return
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        meanwhile()
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, KEYS_A_STEP):
            source.ask("MIGRATE", HOST, target.port, "", 0, PATIENCE_MS, "KEYS", *keys)
            meanwhile()
        for node in (target, source, *self.primaries):
            with contextlib.suppress(redis.ResponseError):  # one that has become a replica takes no slots
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move_at_once(self, slot: int, target: ValkeyNode) -> None:
        """Move *slot* to *target* as Valkey 9 does by itself: by replication, and then all at once."""
        source = self.owner(slot)
        if source is target:
            return
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.id)
        wait_until(lambda: self.owner(slot) is target, f"slot {slot} has moved")

    def promoted(self, dead: Iterable[ValkeyNode]) -> None:
        """Wait until others serve what *dead* nodes served."""
        ports = {node.port for node in dead}

        def done() -> bool:
            living = [node for node in self.nodes if node.port not in ports and node.ping()]
            return all(_is_well(node) and not _serves(node, ports) for node in living)

        wait_until(done, "the replicas were promoted")

    def _shares(self) -> list[tuple[int, int]]:
        count = len(self.primaries)
        bounds = [SLOTS * number // count for number in range(count + 1)]
        return [(first, last - 1) for first, last in itertools.pairwise(bounds)]

    def _knows_all(self, node: ValkeyNode) -> bool:
        known = node.ask("CLUSTER", "NODES")
        return known.count(b"\n") == len(self.nodes) and b"handshake" not in known


def _serves(node: ValkeyNode, ports: set[int]) -> bool:
    return any(served[2][1] in ports for served in node.ask("CLUSTER", "SLOTS"))


def _is_well(node: ValkeyNode) -> bool:
    if b"cluster_state:ok" not in node.ask("CLUSTER", "INFO"):
        return False
    replication = node.ask("INFO", "replication")
    if replication["role"] == "master":
        return True
    return replication["master_link_status"] == "up" and not replication["master_sync_in_progress"]


class ValkeyPair:
    """A primary and its replicas without a cluster, as behind a primary endpoint.

    Args:
        supervisor: owns the processes.
        name: begins the names of the processes.
        replicas: how many replicas.
        persist: see `Valkey`.
    """

    def __init__(
        self, supervisor: Supervisor, name: str, *, replicas: int = 1, persist: Path | None = None
    ) -> None:
        self.nodes = [
            Valkey(supervisor, f"{name}-{number}", persist=persist) for number in range(1 + replicas)
        ]
        self.primary = self.nodes[0]

    @property
    def replicas(self) -> list[Valkey]:
        """All nodes but the primary."""
        return [node for node in self.nodes if node is not self.primary]

    def start(self) -> Self:
        """Start all and wait until the replicas are in step."""
        for node in self.nodes:
            node.start()
            ask(node, "CONFIG", "SET", "repl-diskless-sync-delay", 0)
        self.follow(self.primary)
        return self

    def hand_over(self, *, timeout: float = 10.0) -> None:
        """Make the first replica the primary, when it has all that the primary has; the two change places."""
        former, successor = self.primary, self.replicas[0]
        ask(former, "FAILOVER", "TO", HOST, successor.port, "TIMEOUT", round(1_000 * timeout))

        def done() -> bool:
            return bool(ask(successor, "INFO", "replication")["role"] == "master" and in_step(former))

        wait_until(done, f"{successor.name} took over", timeout=timeout)
        self.primary = successor

    def follow(self, primary: Valkey) -> None:
        """Make *primary* what it says and every other living node its replica, and wait until they are in step."""
        self.primary = primary
        ask(primary, "REPLICAOF", "NO", "ONE")
        living = [node for node in self.replicas if node.ping()]
        for node in living:
            ask(node, "REPLICAOF", HOST, primary.port)
        for node in living:
            wait_until(lambda node=node: in_step(node), f"{node.name} is in step")  # type: ignore[misc]


def ask(node: Valkey, *command: Any) -> Any:
    """Return the reply of *node* to *command*."""
    client: Any = redis.Redis(host=HOST, port=node.port, protocol=2)
    with contextlib.closing(client):
        return client.execute_command(*command)


def in_step(node: Valkey) -> bool:
    """Say whether a replica is connected to its primary and has what it had."""
    state = ask(node, "INFO", "replication")
    return state.get("master_link_status") == "up" and not state["master_sync_in_progress"]
