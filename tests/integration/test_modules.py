"""Modules: found by what a server tells, and used by scripts and commands of the right shape.

No package ships a server with these modules. So the scripts run on a real server, with the module's commands replaced
by sets; and documents meet a small server of our own, which speaks as the documentation of `JSON.*` says. What a real
module does beyond that is not tested here.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis
import pytest

from local.loopback import HOST
from local.supervisor import Supervisor
from staleproof import MISSING, Cache, ConfigurationError
from staleproof.providers.redis import RedisProvider, filter_scripts
from staleproof.providers.redis.operation_scripts import JSON_PUT
from staleproof.providers.redis.scripts import script
from tests.integration.debian_redis import DebianRedis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

SETS = b"""
local function madd(key, ...)
  local new = {}
  for at, item in ipairs({...}) do new[at] = redis.call('SADD', key, item) end
  return new
end
local function mexists(key, ...) return redis.call('SMISMEMBER', key, ...) end
local function reserve(key, rate, capacity)
  if not (tonumber(rate) > 0 and tonumber(rate) < 1 and tonumber(capacity) >= 1) then error('ERR bad shape') end
  redis.call('SADD', key, 'reserved')
end
"""


@pytest.fixture
def over_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's scripts, over sets instead of its filters."""
    for name in ("M_BEGIN", "M_FILL", "M_SWAP", "M_ADD", "M_LOOK"):
        body = getattr(filter_scripts, name).body
        for command, instead in ((b"MADD", b"madd"), (b"MEXISTS", b"mexists"), (b"RESERVE", b"reserve")):
            body = body.replace(b"redis.call('BF.%b', " % command, b"%b(" % instead)
        assert b"BF." not in body
        monkeypatch.setattr(filter_scripts, name, script(SETS + body))


@pytest.mark.usefixtures("over_sets")
def test_a_filter_of_the_module_is_built_used_and_swapped(
    valkey_url: str, fresh_namespace: str, monkeypatch: Any
) -> None:
    """The scripts of the module do with its filters what those of the bitmap do with theirs."""
    cache = Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    known = cache.bloom("products", capacity=100, module=True)
    with pytest.raises(ConfigurationError, match=r"valkey 9.* has no module 'bloom' \(BF\.MADD\)"):
        known.add(1)
    from staleproof.cache.operations import features  # noqa: PLC0415 - what the server would tell

    present = features.Modules(frozenset({"bloom"}), told=True, server="stand-in 1")
    monkeypatch.setitem(features._known, cache.core, (cache.core.clock.monotonic(), present))
    assert known.might_contain(1)
    assert known.add(1) is None
    assert known.rebuild(range(10)) == 10
    assert known.might_contain_many([3, 11]) == [True, False]
    assert known.add(11, 12, 3) == 2
    bitmap = cache.bloom("products", capacity=100)
    assert bitmap.might_contain(99)  # the one in use is the other kind's
    assert bitmap.rebuild([1]) == 1
    assert known.might_contain(99)  # and was removed with the swap
    known.clear()
    cache.close()


@pytest.mark.parametrize(
    "rules", [("+@all", "-command|info"), ("+@all", "-command", "-module"), ("+@all", "-info")]
)
def test_a_user_who_may_not_ask_is_let_try(rules: tuple[str, ...]) -> None:
    """A server that does not tell its modules is believed to have them; one that tells has none here."""
    with Supervisor() as owner:
        server = DebianRedis(owner, "modules-7.0")
        server.start()
        server.set_user("app", "on", ">secret", "~*", "&*", *rules)
        cache = Cache(RedisProvider.from_url(server.url("app:secret"), namespace="shop"))
        found = cache.modules()
        assert found.present == frozenset()
        assert found.told == ("-module" not in rules)
        assert found.server == ("" if "-info" in rules else "redis 7.0.15")
        if not found.told:
            found.require("search")
        cache.close()
        server.close()


# --- documents, on a server of our own ------------------------------------------------------------------


class JsonServer:
    """Speaks what a document needs: `JSON.*` on whole documents, and on what lies at `$.d` and below it."""

    def __init__(self) -> None:
        self.documents: dict[bytes, Any] = {}
        self.versions: dict[bytes, bytes] = {}
        self.asked: list[list[bytes]] = []
        self._listener = socket.create_server((HOST, 0))
        self.url = f"redis://{HOST}:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        """End."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        reader = hiredis.Reader()
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    client.sendall(_packed(self._answer(command)))

    def _answer(self, command: list[bytes]) -> Any:
        self.asked.append(command)
        name, *words = command
        method = getattr(self, "_" + name.decode().lower().replace(".", "_"), None)
        return method(*words) if method else "OK"

    def _hello(self, *_: bytes) -> Any:
        return [b"role", b"master"]

    def _info(self, *_: bytes) -> Any:
        return b"server_name:valkey\r\nvalkey_version:8.1.0\r\n"

    def _command(self, _: bytes, *names: bytes) -> Any:
        return [[name.lower()] if name.startswith(b"JSON") else None for name in names]

    def _mget(self, *names: bytes) -> Any:
        return [self.versions.get(name) for name in names]

    def _set(self, name: bytes, value: bytes, *_: bytes) -> Any:
        known = self.versions.get(name)
        self.versions.setdefault(name, value)
        return known

    def _unlink(self, *names: bytes) -> Any:
        return sum(self.versions.pop(name, None) is not None for name in names)

    def _evalsha(self, digest: bytes, _: bytes, name: bytes, *words: bytes) -> Any:
        assert digest.decode() == JSON_PUT.digest
        self.documents[name] = json.loads(words[0])
        return 1

    def _place(self, name: bytes, path: bytes) -> tuple[Any, Any]:
        from staleproof.cache.operations.paths import parsed  # noqa: PLC0415 - one reader of paths

        *steps, last = parsed(path.decode())
        document: Any = self.documents.get(name)
        for step in steps:
            document = document[step]
        return document, last

    def _json_get(self, name: bytes, *places: bytes) -> Any:
        if name not in self.documents:
            return None
        found = {}
        for path in places:
            inside, last = self._place(name, path)
            with suppress(LookupError, TypeError):
                found[path.decode()] = [inside[last]]
            found.setdefault(path.decode(), [])
        return json.dumps(found if len(places) > 1 else next(iter(found.values()))).encode()

    def _json_set(self, name: bytes, path: bytes, text: bytes) -> Any:
        inside, last = self._place(name, path)
        inside[last] = json.loads(text)
        return "OK"

    def _json_numincrby(self, name: bytes, path: bytes, by: bytes) -> Any:
        inside, last = self._place(name, path)
        inside[last] += json.loads(by)
        return json.dumps([inside[last]]).encode()


def _packed(reply: Any) -> bytes:
    if isinstance(reply, str):
        return b"+%b\r\n" % reply.encode()
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    return b"$-1\r\n" if reply is None else b"*%d\r\n%b" % (len(reply), b"".join(map(_packed, reply)))


@pytest.fixture
def server() -> Iterator[JsonServer]:
    server = JsonServer()
    yield server
    server.close()


def test_a_document_of_the_module_is_read_and_changed_by_paths(server: JsonServer) -> None:
    """Only what lies at the path moves, and an evicted tag version hides the document."""
    cache = Cache(RedisProvider.from_url(server.url, namespace="shop"))
    document = cache.json("profile:7", tags=["user:7"], module=True)
    assert document.get() is MISSING
    assert not document.set(1, "$.visits")
    assert document.set({"name": "Ada", "visits": 1, "emails": []})
    assert document.get() == {"name": "Ada", "visits": 1, "emails": []}
    assert document.set("Ada L.", "$.name")
    assert document.increment("$.visits", 2) == 3
    assert document.get("$.visits") == 3
    assert document.get("$.nothing") is MISSING
    sent = [command for command in server.asked if command[0].startswith(b"JSON")]
    name = b"sp:shop:{oprofile:7}:json"
    assert [b"JSON.SET", name, b'$.d["name"]', b'"Ada L."'] in sent
    assert [b"JSON.NUMINCRBY", name, b'$.d["visits"]', b"2"] in sent
    assert [b"JSON.GET", name, b"$.v", b'$.d["visits"]'] in sent
    for version in [each for each in server.versions if b":v:" in each]:
        server.versions[version] = b"another!"  # as an invalidation, and somebody's next snapshot, leave it
    assert document.get() is MISSING
    assert document.increment("$.visits") is MISSING
    assert not document.set(1, "$.visits")
    cache.close()


def test_a_document_needs_its_module(valkey_url: str, fresh_namespace: str) -> None:
    """Without the module a document of it is refused, with the server's version and the fix."""
    cache = Cache(RedisProvider.from_url(valkey_url, namespace=fresh_namespace))
    document = cache.json("profile:7", module=True)
    for ask in (
        document.get,
        lambda: document.set({}),
        lambda: document.increment("$.n"),
        lambda: document.merge({}),
    ):
        with pytest.raises(ConfigurationError, match=r"valkey 9.*JSON\.SET.*leave module=True out"):
            ask()
    cache.close()
