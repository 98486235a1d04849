"""The doctor examines real servers: whole ones, broken ones, and those that allow little."""

from __future__ import annotations

import json
import re
import shlex
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis
from click.testing import CliRunner, Result

from local.conditions import wait_until
from local.loopback import free_port
from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof import Cache, Policy, ProviderUnavailableError
from staleproof.cli.doctor import EXAMPLES
from staleproof.cli.doctor_commands import USES
from staleproof.cli.program import program
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.ports import Claim, Deposit, Want, structures
from staleproof.ports.operations import (
    Ask,
    FilterAdd,
    FilterBegin,
    FilterFill,
    FilterLook,
    FilterSwap,
    Forget,
    FreeLock,
    KeepLock,
    Latest,
    Push,
    Take,
    TakeLock,
)
from staleproof.providers.redis import RedisProvider
from staleproof.tags import ROOT, tag_id
from tests.integration.debian_redis import Certificates, DebianRedis
from tests.unit.aws_shapes import Recording
from tests.unit.elasticache_account import Account, group, user

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.redis

QUICK = ("--samples", "10", "--json")


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(program, ["doctor", *arguments], env=environ, prog_name="staleproof")


def examined(url: str, *arguments: str, code: int = 0) -> dict[str, list[dict[str, str]]]:
    """Examine, expect an exit code, and return the findings by their check."""
    ran = run(url, *QUICK, *arguments)
    assert ran.exit_code == code, ran.output
    assert "hush" not in ran.output
    found: dict[str, list[dict[str, str]]] = {}
    for each in json.loads(ran.stdout)["findings"]:
        found.setdefault(each["check"], []).append(each)
    return found


def severities(found: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """The worst severity of each check."""
    order = ["ok", "info", "warning", "error"]
    return {name: max((each["severity"] for each in some), key=order.index) for name, some in found.items()}


def besides_ok(found: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """The severities that are not `ok`. How quick this machine is just now is not what a test may ask."""
    return {name: worst for name, worst in severities(found).items() if worst != "ok" and name != "latency"}


@pytest.fixture(scope="module")
def owner() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


@pytest.fixture(scope="module")
def server(owner: Supervisor) -> Valkey:
    """A Valkey of this module's own, set up as the library wants it."""
    server = Valkey(owner, "valkey-doctor")
    server.start()
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory-policy", "volatile-lru")
        admin.config_set("maxmemory", "64mb")
        admin.config_set("repl-diskless-sync-delay", 0)
    return server


@pytest.fixture
def admin(server: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as admin:
        admin.flushall()
        yield admin


@pytest.fixture(scope="module")
def secure(owner: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    """Redis 7.0 over TLS, with users."""
    server = DebianRedis(owner, "redis-doctor", Certificates(tmp_path_factory.mktemp("tls")))
    server.start()
    server.admin.config_set("maxmemory-policy", "volatile-lru")
    server.admin.config_set("maxmemory", "64mb")
    yield server
    server.close()


# --- a whole one ------------------------------------------------------------------------------------------------


def test_a_good_cache_is_fine(server: Valkey, admin: redis.Redis) -> None:
    """Nothing is wrong with a server as the library wants it, and nothing that was written stays."""
    found = examined(server.url, "--namespace", "shop")
    assert besides_ok(found) == {"replication": "info"}
    assert admin.dbsize() == 0


def test_redis_of_debian_is_fine_over_tls(secure: DebianRedis) -> None:
    """The oldest engine, TLS and a user with a password: fine, and the password is shown nowhere."""
    secure.set_user("app", "on", ">hush", "~sp:shop:*", "+@all", "-@admin", "-@dangerous", "+info")
    found = examined(secure.url("app:hush"), "--namespace", "shop")
    assert besides_ok(found) == {"replication": "info"}
    assert found["engine"][0]["found"] == "redis 7.0.15"
    assert found["credentials"][0]["found"] == "we are 'app'"
    assert found["tls"][0]["found"].startswith("TLSv1.3, verified, the certificate lasts ")
    assert "invalidate not measured" in found["paths"][0]["found"]
    assert "CONFIG is closed" in found["config"][0]["found"]
    assert secure.admin.dbsize() == 0


def test_figures_are_for_machines(server: Valkey, admin: redis.Redis) -> None:
    """Every figure stands in the JSON form."""
    del admin
    measured = json.loads(run(server.url, *QUICK).stdout)["measured"]
    assert measured.keys() >= {
        "engine", "version", "user", "role", "replicas", "cluster", "maxmemory_policy", "maxmemory", "used_memory",
        "evicted_keys", "connected_clients", "clock_skew_ms", "keys", "keys_by_namespace",
        "ping_p50_ms", "ping_p99_ms", "read_p50_ms", "load_p50_ms", "invalidate_p50_ms", "invalidate_p99_ms",
    }  # fmt: skip
    assert measured["ping_p50_ms"] <= measured["ping_p99_ms"]


# --- what lies on it -------------------------------------------------------------------------------------------


def test_keys_and_journals_are_counted(server: Valkey, admin: redis.Redis) -> None:
    """Namespaces with their keys, what is others', each journal and how far its followers are behind."""
    provider = RedisProvider.from_url(server.url, namespace="shop")
    cache = Cache(provider, policy=Policy(ttl="1m"))
    for number in range(20):
        cache.get_or_load(f"k{number}", lambda: 1, tags=["t"])
    admin.set("somebody-elses", 1)
    admin.xadd(provider.keys.journal, {"d": "x"}, id="1000-1")
    admin.xadd(provider.keys.journal, {"d": "x"}, id="3601000-1")
    provider.advance("us-east-1", "1000-1")
    provider.advance("eu-central-1", "3600000-1")
    found = examined(server.url)
    (keyspace,) = found["keyspace"]
    assert f"shop {len(admin.keys('sp:shop:*'))}," in keyspace["found"]
    assert "others' 1" in keyspace["found"]
    assert keyspace["severity"] == "info"
    assert found["journal"][0]["found"] == "shop: 2 invalidations over 1.0 hours"
    (followers,) = found["followers"]
    assert followers["severity"] == "warning"
    assert "us-east-1 3,600 s" in followers["found"]
    provider.advance("us-east-1", "3600000-1")
    assert severities(examined(server.url, "--namespace", "shop"))["followers"] == "ok"
    provider.close()


def test_a_scan_is_bounded(server: Valkey, admin: redis.Redis) -> None:
    """Of many keys a sample is looked at, and said to be one."""
    with admin.pipeline(transaction=False) as pipe:
        for number in range(5_000):
            pipe.set(f"sp:shop:{{k{number}}}", 1)
        pipe.execute()
    (found,) = examined(server.url, "--scan", "1000")["keyspace"]
    assert re.match(r"5,000 keys; of [12],\d{3} that were looked at: shop [12],\d{3}", found["found"])


def test_something_elses_journal_is_an_error(server: Valkey, admin: redis.Redis) -> None:
    """Another thing under the journal's name stops every invalidation."""
    admin.set("sp:shop:journal", "x")
    (found,) = examined(server.url, "--namespace", "shop", code=2)["journal"]
    assert "something else lies in its place" in found["found"]


# --- what is not allowed ------------------------------------------------------------------------------------------


def test_missing_permissions_are_named(secure: DebianRedis) -> None:
    """Each command that a user lacks is named, with what does not work and the rule to add."""
    secure.set_user(
        "app", "on", ">hush", "~sp:shop:*", "+@all", "-mget", "-bitfield", "-zadd", "-scan", "-eval"
    )
    found = examined(secure.url("app:hush"), "--namespace", "shop", code=2)
    told = {each["found"]: each for each in found["permissions"]}
    assert {text: each["severity"] for text, each in told.items()} == {
        "not allowed: mget": "error",
        "not allowed: eval": "error",
        "not allowed: bitfield": "error",
        "not allowed: zadd": "warning",
        "not allowed: scan": "warning",
    }
    assert told["not allowed: mget"]["means"] == "reading does not work"
    assert told["not allowed: mget"]["fix"] == "add +mget to the user's access string"
    assert severities(found)["lua"] == "error"
    assert severities(found)["paths"] == "info"
    assert severities(found)["keyspace"] == "info"
    assert secure.admin.dbsize() == 0


def test_keys_that_are_closed_are_told(secure: DebianRedis) -> None:
    """A user is confined to its namespace: the doctor must be told it, and finds a wrong one."""
    secure.set_user("app", "on", ">hush", "~sp:shop:*", "+@all")
    url = secure.url("app:hush")
    assert severities(examined(url, "--namespace", "shop"))["permissions"] == "ok"
    (unsure,) = examined(url)["permissions"]
    assert (unsure["severity"], "--namespace" in unsure["fix"]) == ("info", True)
    (wrong,) = examined(url, "--namespace", "other", code=2)["permissions"]
    assert wrong["fix"] == "add ~sp:other:* to the user's access string"


def test_a_user_who_may_hardly_ask_gets_what_there_is(secure: DebianRedis) -> None:
    """Without INFO, ACL, TIME, SCAN or tracking no check fails; each says what it would need."""
    secure.set_user(
        "app",
        "on",
        ">hush",
        "~*",
        "+@all",
        "-info",
        "-acl",
        "-time",
        "-scan",
        "-dbsize",
        "-config",
        "-client|tracking",
    )
    found = examined(secure.url("app:hush"), code=2)
    assert found["engine"][0]["fix"] == "allow +info, for the doctor alone"
    assert "+acl|whoami" in found["credentials"][0]["fix"]
    assert found["clock"][0]["fix"] == "allow +time"
    assert found["keyspace"][0]["fix"] == "allow +scan"
    assert found["tracking"][0]["severity"] == "info"
    assert "maxmemory-policy" not in found


def test_a_handshake_that_is_not_allowed_is_told(secure: DebianRedis) -> None:
    """The library names its connections; a user without CLIENT cannot connect."""
    secure.set_user("app", "on", ">hush", "~*", "+@all", "-client")
    (found,) = examined(secure.url("app:hush"), code=2)["reach"]
    assert found["fix"] == "allow +client|setname to the user"


# --- what is wrong with it ----------------------------------------------------------------------------------------


def test_a_full_cache_is_an_error(owner: Supervisor) -> None:
    """Too little memory and nothing that may go: nothing is stored, no invalidation is acknowledged."""
    server = Valkey(owner, "valkey-full")
    server.start()
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory-policy", "noeviction")
        admin.config_set("maxmemory", 1)
        found = examined(server.url, code=2)
    assert severities(found)["maxmemory-policy"] == "warning"
    assert [each["severity"] for each in found["memory"]] == ["error", "error"]
    assert severities(found)["permissions"] == "ok"
    assert severities(found)["paths"] == "info"
    server.kill()


def test_a_replica_is_an_error(owner: Supervisor, server: Valkey, admin: redis.Redis) -> None:
    """A replica's address answers and takes no writes; its primary counts it."""
    replica = Valkey(owner, "valkey-replica")
    replica.start()
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("127.0.0.1", str(server.port))
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
        found = examined(replica.url, code=2)
        assert "this is a replica (its link is up)" in found["replication"][0]["found"]
        assert severities(found)["permissions"] == "ok"
        wait_until(lambda: admin.info("replication")["slave0"]["state"] == "online", "the primary counts it")
        assert found["paths"][0]["severity"] == "info"
    assert examined(server.url)["replication"][0]["found"] == "primary, 1 replicas in step"
    replica.kill()


@pytest.mark.slow
def test_every_node_of_a_cluster_may_be_examined(owner: Supervisor) -> None:
    """In cluster mode every node is asked for what it holds, and there is but one database."""
    nodes = [Valkey(owner, f"valkey-cluster-{n}") for n in range(2)]
    for node in nodes:
        node._command = clustered(node._command)  # type: ignore[method-assign]
        node.start()
    clients = [redis.Redis.from_url(node.url) for node in nodes]
    clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8_191)  # type: ignore[no-untyped-call]
    clients[1].execute_command("CLUSTER", "ADDSLOTSRANGE", 8_192, 16_383)  # type: ignore[no-untyped-call]
    clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)  # type: ignore[no-untyped-call]
    for client in clients:
        wait_until(partial(is_whole, client), "the cluster is whole")
    for node in nodes:
        found = examined(f"{node.url}?cluster=true", "--namespace", "shop")
        assert found["cluster"][0]["found"] == "cluster mode is on, 2 shards"
        fine = {name for name, worst in severities(found).items() if worst == "ok"}
        assert fine >= {"cluster", "permissions", "lua", "tracking", "paths", "journal"}
        (unaware,) = examined(node.url, code=2)["cluster"]
        assert unaware["fix"] == "add cluster=true to the query of the address"
    (refused,) = examined(f"{nodes[0].url[:-1]}3", code=2)["reach"]
    assert refused["fix"] == "end the address in /0, the only database"
    for client in clients:
        assert client.dbsize() == 0
        client.close()
    for node in nodes:
        node.kill()


def is_whole(client: Any) -> bool:
    return bool(client.cluster("INFO")["cluster_state"] == "ok")


def clustered(command: Any) -> Any:
    return lambda port: [*command(port), "--cluster-enabled", "yes", "--cluster-require-full-coverage", "yes"]


# --- what is not reached -----------------------------------------------------------------------------------------


def test_a_wrong_password_is_told(secure: DebianRedis) -> None:
    """Refused credentials are an error of their own, and shown nowhere."""
    secure.set_user("app", "on", ">other", "~*", "+@all")
    (found,) = examined(secure.url("app:hush"), code=2)["credentials"]
    assert "refuses the credentials" in found["found"]
    (nobody,) = examined(secure.url("nobody:hush"), code=2)["credentials"]
    assert nobody["severity"] == "error"


@pytest.mark.parametrize(
    ("make", "found", "fix"),
    [
        (lambda secure: f"redis://127.0.0.1:{free_port()}", "nothing listens there", "check the port"),
        (lambda secure: "redis://nowhere.invalid", "the name is unknown", "spelling"),
        (
            lambda secure: secure.url("app:hush").partition("?")[0],
            "the certificate is not accepted",
            "ssl_ca_certs",
        ),
        (
            lambda secure: secure.url("app:hush", host="127.0.0.1"),
            "the certificate is not accepted",
            "own name",
        ),
        (
            lambda secure: f"redis://app:hush@localhost:{secure.port}",
            "closes the connection",
            "write rediss://",
        ),
    ],
    ids=["port", "name", "authority", "host", "no-tls"],
)
def test_what_is_not_reached_is_told(secure: DebianRedis, make: Any, found: str, fix: str) -> None:
    """Why nobody answers decides what to do, so it is told apart; nothing else is examined."""
    secure.set_user("app", "on", ">hush", "~*", "+@all")
    told = examined(make(secure), code=2)
    assert list(told) == ["reach"]
    assert found in told["reach"][0]["found"]
    assert fix in told["reach"][0]["fix"]


def test_an_address_that_expects_a_cluster_is_told(server: Valkey) -> None:
    """A cache that looks for shards finds none."""
    (told,) = examined(f"{server.url}?cluster=true", code=2)["cluster"]
    assert told["fix"] == "take cluster=true out of the address"


def test_a_server_without_tls_is_told(server: Valkey) -> None:
    """An address that wants TLS of a server that has none."""
    (told,) = examined(server.url.replace("redis://", "rediss://"), "--timeout", "0.3", code=2)["reach"]
    assert "there is no TLS" in told["found"]


def test_a_server_that_hangs_is_told(owner: Supervisor) -> None:
    """No answer within the time that one is ready to wait."""
    server = Valkey(owner, "valkey-hanging")
    server.start()
    server.signal(signal.SIGSTOP)
    (told,) = examined(server.url, "--timeout", "0.2", code=2)["reach"]
    assert "no answer in time" in told["found"]
    assert "security group" in told["fix"]
    server.kill()


def test_a_certificate_that_is_not_verified_is_told(secure: DebianRedis) -> None:
    """TLS that believes everybody is a warning."""
    secure.set_user("app", "on", ">hush", "~*", "+@all")
    url = f"{secure.url('app:hush').partition('?')[0]}?ssl_cert_reqs=none"
    (told,) = examined(url)["tls"]
    assert (told["severity"], "not verified" in told["found"]) == ("warning", True)


# --- the command -------------------------------------------------------------------------------------------------

EXAMPLE_LINES = re.findall(r"^ +staleproof doctor (.*)$", EXAMPLES, re.MULTILINE)


@pytest.mark.parametrize("line", EXAMPLE_LINES)
def test_examples_of_the_help_run(
    line: str, server: Valkey, admin: redis.Redis, secure: DebianRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--help` shows can be typed; here with this test's servers in the places of those that it names."""
    del admin
    assert f"staleproof doctor {line}" in run("--help").output
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.authority))
    monkeypatch.setenv("STALEPROOF_CACHE_URL", server.url)
    monkeypatch.setenv("STALEPROOF_NAMESPACE", "shop")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    secure.set_user("iam-user-01", "on", "nopass", "~*", "+@all")
    secure.set_user("app", "on", ">hush", "~*", "+@all")
    shard = {"PrimaryEndpoint": {"Address": "localhost", "Port": secure.port}}
    held = group("my-cache", NodeGroups=[shard], MemberClusters=["a"], UserGroupIds=["g"])
    account = Account(held, user("iam-user-01", "iam", "g"), user("app", "password", "g"))
    monkeypatch.setattr("staleproof.aws.discovery.connect", lambda *_: account.client)
    answers = {"get_secret_value": lambda **_: {"SecretString": '{"username": "app", "password": "hush"}'}}
    monkeypatch.setattr("staleproof.aws.secret.client", lambda *_: Recording("secretsmanager", answers))
    arguments = shlex.split(line.replace("redis://127.0.0.1:6379/0", server.url))
    ran = run(*arguments, "--samples", "10")
    assert ran.exit_code == 0, ran.output
    assert "hush" not in ran.output


def test_every_command_of_the_library_is_tried(owner: Supervisor) -> None:
    """The table of permissions names every command that the library makes a server execute, and no other."""
    server = Valkey(owner, "valkey-counting")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.config_resetstat()
        use_everything(server.url)
        counted = {each.removeprefix("cmdstat_") for each in client.info("commandstats")}
        counted = {each.replace("command|info", "command") for each in counted}
    tried = {line.split()[0].lower() for use in USES for line in use.text.splitlines()}
    handshake = {
        "ping",
        "info",
        "select",
        "hello",
        "auth",
        "config|resetstat",
        "client|setname",
        "client|setinfo",
    }
    assert counted - tried - handshake == set()
    assert tried - counted - {"del", "evalsha"} == set()
    server.kill()


def use_operations(provider: RedisProvider) -> None:
    """Run every operation that a server without modules has."""
    build, digests = b"build--1", [bytes(range(8))]
    token = provider.perform(TakeLock("n", "a0", 60_000)).token
    for operation in (
        Take("n", 1_000_000, 2, 1),
        KeepLock("n", "a0", token, 60_000),
        FreeLock("n", "a0", token),
        Push("n", (b"v",), 2, 60_000),
        Push("n", (b"v",), 2, 0),
        Push("n", (b"v",), 2, 60_000, stream=True),
        Latest("n", 2),
        Latest("n", 2, stream=True),
        FilterBegin("n", build, 100, 2),
        FilterFill("n", build, digests),
        FilterSwap("n", build, 60_000),
        FilterAdd("n", digests),
        FilterLook("n", digests),
        Forget("n", "filter"),
        Ask(("COMMAND", "INFO", "GET")),
    ):
        provider.perform(operation)


def use_everything(url: str) -> None:
    """Call every method of a provider, on the ways that make a server execute something of their own."""
    provider = RedisProvider.from_url(url, namespace="shop")
    lease, tags = b"l" * 16, [ROOT, tag_id("a")]
    entry = bytes([0xE2]) + bytes(200)
    provider.read("k", tags)
    provider.read_many([Want("k", tags)])
    provider.journal_end()
    provider.snapshot(tags, 60_000, guard=True)
    provider.snapshot(tags, 0, guard=False)
    provider.begin("k", tags, lease, 60_000, 60_000, guard=True)
    provider.store("k", entry, 60_000, lease)
    provider.begin_many([Claim("k2", tags, lease)], 60_000, 60_000, guard=False)
    provider.store_many([Deposit("k2", entry, 0, lease)])
    provider.expire("k", 0, 1, 60_000)
    provider.expire("k", 1, 2, 0)
    provider.put("k3", entry, 60_000)
    provider.release("k3", lease)
    place = ""
    ways: list[dict[str, Any]] = [{}, {"soft": True}, {"row_version": 7, "lag_ms": 1_000}]
    for options in ways:
        record = Invalidation(
            id=new_id(), origin="x", namespace="shop", tags=("a",), keys=("k",), at_ms=1, **options
        )
        (place,) = provider.invalidate([record])
    provider.begin("k", tags, lease, 60_000, 60_000, guard=False)
    provider.release("k", lease)
    provider.scan("", 10)
    provider.journal("", 10)
    provider.read_following("k", tags, place, 10)
    provider.undelivered("us-east-1", 10)
    provider.pushed("us-east-1", [place])
    provider.advance("us-east-1", place)
    provider.followers()
    provider.forget("us-east-1")
    provider.trim(1_000)
    use_operations(provider)
    use_structures(provider)
    provider.close()
    waiting = RedisProvider.from_url(url, namespace="shop", durability="replicated")
    with pytest.raises(ProviderUnavailableError, match="no replica is online"):
        waiting.invalidate([Invalidation(id=new_id(), origin="x", namespace="shop", tags=("a",), at_ms=1)])
    waiting.close()


def use_structures(provider: RedisProvider) -> None:
    """Do with data structures whatever a provider may be asked to; most of it of no use."""
    body = provider.structures.locate("structure", [ROOT], 60_000, write=True)
    writing = re.compile("SET|INCR|ADD|PUSH|POP|TRIM|REM|DEL|MERGE")
    for command in sorted(structures.COMMANDS):
        ttl_ms = 60_000 if writing.search(command) and command not in READING else 0
        given: tuple[Any, ...] = ARGUMENTS.get(command, ("1",))
        if command == "PFMERGE":
            given = tuple(provider.structures.operate(body + b"PFADD", [structures.Operation("GET")]))
        provider.structures.operate(body + command.encode(), [structures.Operation(command, given, ttl_ms)])


READING = {"GEOSEARCH", "SRANDMEMBER"}
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("HGETALL", "HKEYS", "HLEN", "LLEN", "SCARD", "SMEMBERS", "XLEN", "ZCARD", "PTTL"), ()),
    **dict.fromkeys(("LPOP", "RPOP", "SPOP", "PFCOUNT", "BITCOUNT", "GET"), ()),
    **dict.fromkeys(("HSET", "HSETNX", "HINCRBY", "HINCRBYFLOAT", "ZADD", "ZINCRBY"), ("1", "1")),
    **dict.fromkeys(("SETBIT", "ZCOUNT", "ZREMRANGEBYRANK", "GEODIST"), ("0", "1")),
    **dict.fromkeys(("ZRANGE", "LRANGE", "LTRIM"), ("0", "1")),
    **dict.fromkeys(("XRANGE", "XREVRANGE"), ("-", "+")),
    "GEOADD": ("1", "2", "m"),
    "GEOSEARCH": ("FROMLONLAT", "1", "2", "BYRADIUS", "1", "m"),
    "XADD": ("*", "d", "v"),
    "XTRIM": ("MAXLEN", "1"),
}
