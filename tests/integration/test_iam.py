"""Who connections are: tokens of IAM, rotated secrets and TLS, against a real server with users.

The server has no IAM. It has users whose password is the token that should come, so it lets in who brings exactly that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.supervisor import Supervisor
from staleproof import (
    AsyncCache,
    Cache,
    ConfigurationError,
    Policy,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from staleproof.aws import IamCredentials, SecretCredentials
from staleproof.aws.iam import CONNECTION_LIFETIME, KEPT, token
from staleproof.aws.identity import AmbientIdentity
from staleproof.aws.secret import READ_EVERY
from staleproof.aws.signing import Keys
from staleproof.clock import ManualClock
from staleproof.providers.redis import RedisProvider
from staleproof.providers.redis.async_connections import AsyncConnections
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.credentials import SPREAD
from staleproof.providers.redis.exchange import commands
from staleproof.testing import Blocking, BlockingCache
from staleproof.testing.blocking import Portal
from tests.integration.debian_redis import Certificates, DebianRedis
from tests.unit.aws_shapes import Recording
from tests.unit.elasticache_account import Account, group, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.redis

ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "SECRET"}
RULES = ("on", "~*", "&*", "+@all")
NEXT = Keys("AKIDNEXT", "NEXT", "session/+=")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRedis]:
    """A server that only users over TLS reach; nobody may be nobody."""
    with Supervisor() as owner:
        server = DebianRedis(owner, "redis-iam", Certificates(tmp_path_factory.mktemp("tls")))
        server.start()
        yield server
        server.close()


@pytest.fixture(autouse=True)
def clean(server: DebianRedis) -> None:
    """No refusals so far, and no users but the default one, who needs a password that nobody knows."""
    server.admin.execute_command("ACL", "LOG", "RESET")
    server.set_user("app")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment that the credentials read, which a test may change."""
    return dict(ENVIRON)


@pytest.fixture
def credentials(clock: ManualClock, environ: dict[str, str]) -> IamCredentials:
    identity = AmbientIdentity(environ, lambda: None)
    return IamCredentials("my-cache", "app", region="eu-west-1", identity=identity, clock=clock)


def let_in(server: DebianRedis, keys: Keys, clock: ManualClock) -> None:
    """Have the server let in, from now on, who brings the token of *keys* made at this moment."""
    expected = token("my-cache", "app", keys, region="eu-west-1", at=clock.wall())
    server.set_user("app", *RULES, f">{expected}")


OURS = Keys(ENVIRON["AWS_ACCESS_KEY_ID"], ENVIRON["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture(params=["blocking", "awaiting"])
def connect(
    request: pytest.FixtureRequest, server: DebianRedis, clock: ManualClock
) -> Iterator[Callable[..., Any]]:
    """Open connections of one face, and close them after the test."""
    opened: list[Any] = []

    def connect(credentials: Any, url: str | None = None, size: int = 1) -> Any:
        options: Any = {"timeout": 5.0, "max_connections": size, "credentials": credentials, "clock": clock}
        if request.param == "blocking":
            opened.append(Connections(url or server.url(), **options))
        else:
            opened.append(Blocking(AsyncConnections(url or server.url(), **options)))
        return opened[-1]

    yield connect
    for each in opened:
        getattr(each, "shut", each.close)()


def client_id(connections: Any) -> int:
    """Which connection it is to the server."""
    (reply,) = connections.exchange(commands([("CLIENT", "ID")]))
    return int(reply)


def whoami(connections: Any) -> bytes:
    (reply,) = connections.exchange(commands([("ACL", "WHOAMI")]))
    assert isinstance(reply, bytes)
    return reply


# --- tokens ----------------------------------------------------------------------------------------------


def test_a_token_opens_a_connection(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """User and token are what the server is given, at the first attempt."""
    let_in(server, OURS, clock)
    assert whoami(connect(credentials)) == b"app"
    assert server.refused() == 0


def test_a_later_connection_has_a_later_token(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """When a token is over, connections that it opened go on, and new ones bring the next."""
    let_in(server, OURS, clock)
    first = connect(credentials)
    before = client_id(first)
    clock.advance(KEPT)
    let_in(server, OURS, clock)
    assert client_id(first) == before
    assert whoami(connect(credentials)) == b"app"
    assert server.refused() == 0


def test_rotated_keys_are_taken(
    server: DebianRedis,
    connect: Any,
    credentials: IamCredentials,
    clock: ManualClock,
    environ: dict[str, str],
) -> None:
    """A role whose keys rotated signs the next token with the new ones, session token included."""
    let_in(server, OURS, clock)
    assert whoami(connect(credentials)) == b"app"
    let_in(server, NEXT, clock)
    environ.update(
        AWS_ACCESS_KEY_ID=NEXT.access, AWS_SECRET_ACCESS_KEY=NEXT.secret, AWS_SESSION_TOKEN=NEXT.session
    )
    assert whoami(connect(credentials)) == b"app"
    assert server.refused() == 0


def test_a_refused_token_is_made_anew_once(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """What was kept may be wrong by now; the caller does not notice."""
    credentials.get_credentials()
    clock.advance(100)
    let_in(server, OURS, clock)
    assert whoami(connect(credentials)) == b"app"
    assert server.refused() == 1


def test_who_is_not_let_in_is_told(server: DebianRedis, connect: Any, credentials: IamCredentials) -> None:
    """A policy or user that does not fit is no outage: two attempts, and an error that is not to be retried."""
    server.set_user("app", *RULES, ">something else")
    with pytest.raises(ProviderRejectedError, match=r"refused the credentials.*IAM policy") as raised:
        whoami(connect(credentials))
    assert server.refused() == 2
    assert "Signature" not in str(raised.value)


def test_without_keys_nothing_is_tried(server: DebianRedis, connect: Any, clock: ManualClock) -> None:
    """Expired or missing AWS credentials are told as what they are, and no connection is lost for the next attempt."""
    environ: dict[str, str] = {}
    identity = AmbientIdentity(environ, lambda: None)
    credentials = IamCredentials("my-cache", "app", region="eu-west-1", identity=identity, clock=clock)
    connections = connect(credentials)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="AWS credentials"):
            whoami(connections)
    environ.update(ENVIRON)
    let_in(server, OURS, clock)
    assert whoami(connections) == b"app"
    assert server.refused() == 0


# --- the age of connections -----------------------------------------------------------------------------------


def test_a_connection_is_replaced_before_it_is_cut(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """Within 11 hours a connection is replaced between two exchanges, by one that has a token of then."""
    let_in(server, OURS, clock)
    connections = connect(credentials)
    first = client_id(connections)
    clock.advance(CONNECTION_LIFETIME * (1 - SPREAD) - 1)
    assert client_id(connections) == first
    clock.advance(CONNECTION_LIFETIME * SPREAD + 1)
    let_in(server, OURS, clock)
    second = client_id(connections)
    assert second != first
    assert client_id(connections) == second
    assert server.refused() == 0


def test_a_freeze_ages_connections(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """A process that was suspended for half a day does not meet the cut either."""
    let_in(server, OURS, clock)
    connections = connect(credentials)
    first = client_id(connections)
    clock.freeze(CONNECTION_LIFETIME)
    let_in(server, OURS, clock)
    assert client_id(connections) != first


def test_a_cut_connection_is_replaced(
    server: DebianRedis, connect: Any, credentials: IamCredentials, clock: ManualClock
) -> None:
    """Should the server cut one nevertheless, the next exchange has another."""
    let_in(server, OURS, clock)
    connections = connect(credentials)
    first = client_id(connections)
    server.admin.execute_command("CLIENT", "KILL", "USER", "app")
    assert client_id(connections) != first


def test_connections_without_an_end_are_kept(server: DebianRedis, connect: Any, clock: ManualClock) -> None:
    """A password of its own has no end, and neither has its connection."""
    server.set_user("app", *RULES, ">hush")
    connections = connect(None, server.url("app:hush"))
    first = client_id(connections)
    clock.advance(10 * CONNECTION_LIFETIME)
    assert client_id(connections) == first


def test_a_connection_of_its_own_proves_itself_too(
    server: DebianRedis, credentials: IamCredentials, clock: ManualClock
) -> None:
    """The connection on which a tracker listens authenticates with the same credentials, by RESP3's handshake."""
    let_in(server, OURS, clock)
    connections = Connections(server.url(), timeout=5, credentials=credentials)
    apart = connections.apart(protocol=3)
    apart.connect()
    apart.send_command("ACL", "WHOAMI")
    assert apart.read_response() == b"app"
    apart.disconnect()
    connections.close()


# --- passwords -----------------------------------------------------------------------------------------------


def test_a_rotated_secret_costs_no_error(server: DebianRedis, connect: Any, clock: ManualClock) -> None:
    """When the server refuses the old password the secret is read once more, and the caller does not notice."""
    held = ["old"]
    answers = {
        "get_secret_value": lambda **_: {"SecretString": f'{{"username":"app","password":"{held[0]}"}}'}
    }
    client = Recording("secretsmanager", answers)
    credentials = SecretCredentials("prod/cache", connect=lambda _: client, clock=clock)
    server.set_user("app", *RULES, ">old")
    first = connect(credentials)
    assert whoami(first) == b"app"
    server.set_user("app", *RULES, ">new")
    held[0] = "new"
    clock.advance(READ_EVERY)
    assert whoami(connect(credentials)) == b"app"
    assert whoami(first) == b"app"
    assert (client.count("get_secret_value"), server.refused()) == (2, 1)


def test_a_wrong_secret_is_told(server: DebianRedis, connect: Any, clock: ManualClock) -> None:
    """A password that stays wrong is refused, and shown nowhere."""
    client = Recording("secretsmanager", {"get_secret_value": lambda **_: {"SecretString": "hush-hush"}})
    server.set_user("app", *RULES, ">other")
    with pytest.raises(ProviderRejectedError) as raised:
        whoami(connect(SecretCredentials("prod/cache", "app", connect=lambda _: client, clock=clock)))
    assert "hush" not in str(raised.value)
    assert client.count("get_secret_value") == 1


# --- TLS -----------------------------------------------------------------------------------------------------


def test_an_unknown_authority_is_refused(server: DebianRedis, connect: Any) -> None:
    """By default a certificate is verified; one that nobody vouches for is no server of ours."""
    server.set_user("app", *RULES, ">hush")
    url = server.url("app:hush").partition("?")[0]
    with pytest.raises(ProviderUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        whoami(connect(None, url))


def test_another_hosts_certificate_is_refused(server: DebianRedis, connect: Any) -> None:
    """A certificate must be for the name that was asked for."""
    server.set_user("app", *RULES, ">hush")
    with pytest.raises(ProviderUnavailableError, match="IP address mismatch"):
        whoami(connect(None, server.url("app:hush", host="127.0.0.1")))
    assert whoami(connect(None, server.url("app:hush"))) == b"app"


def test_no_password_goes_out_in_clear_text(server: DebianRedis, connect: Any) -> None:
    """A server that speaks TLS refuses who does not."""
    with pytest.raises(ProviderUnavailableError):
        whoami(connect(None, f"redis://app:hush@localhost:{server.port}/0"))


# --- all of it ------------------------------------------------------------------------------------------------


def face_of(kind: Any, **options: Any) -> tuple[Any, Any, Callable[[], None]]:
    """Return a cache of either face as blocking code sees it, itself, and what closes it."""
    made = kind.from_aws("my-cache", **options)
    if kind is Cache:
        return made, made, made.close
    portal = Portal()
    seen = BlockingCache(made, portal)

    def shut() -> None:
        portal.call(made.close)
        portal.shut()

    return seen, made, shut


@pytest.mark.parametrize("kind", [Cache, AsyncCache])
def test_a_cache_from_its_name(
    kind: Any, server: DebianRedis, fresh_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a name to a value: discovery, token, TLS, a load, a hit and an invalidation."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    shard = {"PrimaryEndpoint": {"Address": "localhost", "Port": server.port}}
    held = group("my-cache", NodeGroups=[shard], MemberClusters=["a"], UserGroupIds=["g"])
    environ = {"STALEPROOF_NAMESPACE": fresh_namespace, "STALEPROOF_TIMEOUT": "5s", "STALEPROOF_FILE": "none"}
    cache, made, shut = face_of(kind, client=Account(held, user("app", "iam", "g")).client, environ=environ)
    _, expected = made.provider.connections._credentials.get_credentials()
    server.set_user("app", *RULES, f">{expected}")
    values = iter(range(1, 9))
    assert [cache.get_or_load("k", lambda: next(values), tags=["t"]) for _ in range(2)] == [1, 1]
    cache.invalidate("t")
    assert cache.get_or_load("k", lambda: next(values), tags=["t"]) == 2
    assert server.refused() == 0
    shut()


def test_many_threads_share_one_token(
    server: DebianRedis, credentials: IamCredentials, clock: ManualClock, fresh_namespace: str
) -> None:
    """A crowd that connects at once is let in, all of it, and after 11 hours once more."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    let_in(server, OURS, clock)
    connections = Connections(
        server.url(), timeout=20, credentials=credentials, clock=clock, max_connections=8
    )
    cache = Cache(RedisProvider(connections, fresh_namespace), policy=Policy(ttl="1m"))
    with ThreadPoolExecutor(8) as threads:
        for _ in range(2):
            loaded = list(threads.map(lambda n: cache.get_or_load(f"k{n}", lambda: n), range(40)))
            assert loaded == list(range(40))
            clock.advance(CONNECTION_LIFETIME)
            let_in(server, OURS, clock)
    assert server.refused() == 0
    cache.close()
