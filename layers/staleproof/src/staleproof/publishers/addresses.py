"""`of` and `async_of`: from an address to a publisher. Nothing is connected until the first message goes.

    eventbridge://BUS?region=eu-west-1              a bus; also eventbridge:ARN
    redis://HOST:6379/0?stream=NAME                 a stream; rediss:// for TLS, cluster=true for a cluster
    kafka://HOST:9092,HOST:9092/TOPIC               a topic; ?iam=true for MSK with IAM access control
    dynamodb://TABLE?region=eu-west-1               an outbox table; also dynamodb:ARN
    memory://                                       a list in this process
    null://                                         nowhere

What stands in the query, or comes as an option, is an argument of the publisher: `region`, `endpoint_url`, `source`,
`ttl`, `maxlen`, `timeout`; of Kafka's, whatever kafka-python's producer takes. What else stands in the query of a
stream's address is the client library's, and `iam=` and `secret=` mean what they mean in the address of a cache.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.publishers.faces import AwaitingPublisher, BlockingPublisher

FORMS = (
    "eventbridge://BUS, redis://HOST:6379/0?stream=NAME, kafka://HOST:9092/TOPIC, dynamodb://TABLE, memory:// or "
    "null://"
)
IN_ADDRESS = {
    "eventbridge": ("region", "source", "endpoint_url"),
    "dynamodb": ("region", "ttl", "endpoint_url"),
}
_ARN_REGION = re.compile(r"arn:[\w-]+:\w+:([\w-]+):")
_TEXTS = re.compile(r"region|source|endpoint_url|client_id|sasl_\w+|ssl_(?!check_hostname)\w+")
"""Options that are texts, whatever they spell."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORDS = {"true": True, "false": False, "none": None}


class _Transport(NamedTuple):
    """What makes publishers of a scheme: a module, the names of both faces, and how an address is read."""

    blocking: tuple[str, str]
    awaiting: tuple[str, str]
    read: Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]]
    extra: str = ""


def of(url: str, **options: Any) -> BlockingPublisher:
    """Return the publisher at *url*, for blocking code; *options* go before what stands in the address.

    Raises:
        ConfigurationError: the address cannot be read, an option is unknown, or an extra is not installed.
    """
    transport = _transport(url)
    made: BlockingPublisher = _made(transport, transport.blocking, url, options)
    return made


def async_of(url: str, **options: Any) -> AwaitingPublisher:
    """Return the publisher at *url*, for asyncio; raises as `of` does."""
    transport = _transport(url)
    made: AwaitingPublisher = _made(transport, transport.awaiting, url, options)
    return made


def _transport(url: Any) -> _Transport:
    scheme = url.partition(":")[0].lower() if isinstance(url, str) else ""
    found = _TRANSPORTS.get(scheme)
    if found is None:
        raise ConfigurationError(f"publisher URL: the scheme {scheme[:40]!r} is not known; write {FORMS}")
    return found


def _made(transport: _Transport, home: tuple[str, str], url: str, options: dict[str, Any]) -> Any:
    arguments, told = transport.read(url)
    try:
        make = getattr(import_module(f"staleproof.publishers.{home[0]}"), home[1])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("staleproof"):
            raise
        raise ConfigurationError(
            f"{home[1]} needs {error.name}; install staleproof[{transport.extra}]"
        ) from error
    try:
        return make(*arguments, **{**told, **options})
    except TypeError as error:
        raise ConfigurationError(
            f"publisher URL: {str(error).partition('() ')[2] or error}; leave it out"
        ) from error


def _aws(url: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Read `eventbridge://NAME?...` or `eventbridge:ARN?...`; an ARN says the region itself."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.removeprefix("//").partition("?")
    name = unquote(place).rstrip("/")
    if not name:
        raise ConfigurationError(f"publisher URL: {scheme}:// names nothing; write {scheme}://NAME")
    arn = _ARN_REGION.match(name)
    options = _options(query)
    unknown = options.keys() - IN_ADDRESS[scheme.lower()]
    if unknown:
        known = ", ".join(IN_ADDRESS[scheme.lower()])
        raise ConfigurationError(
            f"publisher URL: {min(unknown)!r} is no option of {scheme}://; there are {known}"
        )
    if arn and options.setdefault("region", arn[1]) != arn[1]:
        given = options["region"]
        raise ConfigurationError(
            f"publisher URL: region={given!r} is not the ARN's, {arn[1]!r}; leave it out"
        )
    return (name,), options


def _stream(url: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        parts = urlsplit(url)
    except ValueError:  # the text may hold a password
        raise ConfigurationError(
            "publisher URL: it cannot be read; write redis://HOST:6379/0?stream=NAME"
        ) from None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    ours = {name: value for name, value in pairs if name in {"stream", "maxlen", "timeout"}}
    if not ours.get("stream"):
        raise ConfigurationError("publisher URL: it names no stream; write redis://HOST:6379/0?stream=NAME")
    rest = urlencode([pair for pair in pairs if pair[0] not in ours])
    stream = ours.pop("stream")
    return (parts._replace(query=rest).geturl(), stream), {name: _value(text) for name, text in ours.items()}


def _kafka(url: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    place, _, query = url.partition("://")[2].partition("?")
    servers, _, topic = place.rpartition("/")
    if "@" in unquote(place):  # also behind a slash: then a part of the password passes for the topic
        told = "it holds a user or password; give sasl_plain_username= and sasl_plain_password= as options"
        raise ConfigurationError(f"publisher URL: {told}")
    if not servers or not topic:
        raise ConfigurationError("publisher URL: it names no topic; write kafka://HOST:9092/TOPIC")
    return (servers.split(","), unquote(topic)), _options(query)


def _nowhere(url: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    scheme, _, rest = url.partition(":")
    if rest.strip("/"):
        raise ConfigurationError(f"publisher URL: {scheme}:// leads nowhere; leave out what follows")
    return (), {}


def _options(query: str) -> dict[str, Any]:
    pairs = parse_qsl(query, keep_blank_values=True)
    return {name: text if _TEXTS.fullmatch(name) else _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    """Return the number, boolean or None that *text* spells, or *text*."""
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return _WORDS.get(text.lower(), text)


_REDIS = _Transport(
    ("redis_streams", "RedisStreamsPublisher"),
    ("redis_streams", "AsyncRedisStreamsPublisher"),
    _stream,
    "redis",
)
_TRANSPORTS = {
    "eventbridge": _Transport(
        ("eventbridge", "EventBridgePublisher"), ("eventbridge", "AsyncEventBridgePublisher"), _aws, "aws"
    ),
    "dynamodb": _Transport(("outbox", "OutboxPublisher"), ("outbox", "AsyncOutboxPublisher"), _aws, "aws"),
    "redis": _REDIS,
    "rediss": _REDIS,
    "kafka": _Transport(("kafka", "KafkaPublisher"), ("async_kafka", "AsyncKafkaPublisher"), _kafka, "kafka"),
    "memory": _Transport(("memory", "MemoryPublisher"), ("memory", "AsyncMemoryPublisher"), _nowhere),
    "null": _Transport(("memory", "NullPublisher"), ("memory", "AsyncNullPublisher"), _nowhere),
}
