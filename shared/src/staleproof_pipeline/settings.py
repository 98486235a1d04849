"""Settings of the functions, from the environment.

===================================  ==================================================================  ============
variable                             meaning                                                             default
===================================  ==================================================================  ============
`STALEPROOF_CACHE_URL`               `redis://`, `rediss://` (TLS), `unix://`, or `memory://`            required
`STALEPROOF_NAMESPACE`               where rules that name no namespace invalidate                       required
`STALEPROOF_REGION`                  this region                                                         `AWS_REGION`
`STALEPROOF_RULES`                   path of the rules file, `ssm:/NAME` or `s3://BUCKET/KEY`            one of both
`STALEPROOF_RULES_TEXT`              the rules themselves                                                is required
`STALEPROOF_RULES_INTERVAL`          how often the rules are looked at for changes, such as `1m`         `1m`
`STALEPROOF_DEFERRAL_QUEUE_URL`      SQS queue that holds back what rules put off                        none
`STALEPROOF_DEAD_LETTER_QUEUE_URL`   SQS queue for records that can never be applied                     one of both
`STALEPROOF_DEAD_LETTER_STREAM`      key of a Redis stream for them                                      is required
`STALEPROOF_DEAD_LETTER_STREAM_URL`  server that has it, if it is not the cache's                        the cache's
`STALEPROOF_UNDELIVERED_QUEUE_URL`   SQS queue of what AWS gave up delivering, for `redrive`             none
`STALEPROOF_UNDELIVERED_BUCKET`      bucket of stream batches that AWS gave up, for `redrive`            none
`STALEPROOF_DEFERRAL_SET`            key of a sorted set that holds back what rules put off              none
`STALEPROOF_PURGE_RATE`              tags and keys a second that one process invalidates; 0: any         `0`
`STALEPROOF_CLEAR_RATE`              namespaces a minute that one process clears; 0: any                 `0`
`STALEPROOF_BATCH_BUDGET`            how long a batch is applied before its rest stays in its source     `10s`
`STALEPROOF_STREAM`                  key of the Redis stream that `drain_redis_stream` reads             `staleproof`
`STALEPROOF_STREAM_URL`              server that has the stream, if it is not the cache's                the cache's
`STALEPROOF_STREAM_GROUP`            name of the consumer group                                          `staleproof`
`STALEPROOF_STREAM_IDLE`             after how long what a dead consumer has is taken over               `1m`
`STALEPROOF_KAFKA_TOMBSTONES`        what a record without a value is: `remove`, `always` or `ignore`    `remove`
`STALEPROOF_KAFKA_SCHEMAS`           Avro schemas by topic: file or folder, `ssm:/NAME`, `s3://…`        none
`STALEPROOF_PEERS`                   the other regions, comma separated                                  none
`STALEPROOF_BUS`                     this region's event bus; required if there are peers                none
`STALEPROOF_TIMEOUT`                 how long to wait for the cache server, such as `1s`                 `1s`
`STALEPROOF_JOURNAL_HORIZON`         how long journal records stay that no link needs, such as `15m`     `15m`
===================================  ==================================================================  ============

`replicate` needs neither rules nor a dead-letter queue; with rules, it follows the namespaces that they name.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from staleproof.errors import ConfigurationError
from staleproof.keys import Keyspace
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("redis://", "rediss://", "unix://", "memory://")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")

PREFIX = "STALEPROOF_"

_SECRET = frozenset({"cache_url", "stream_url", "dead_letter_stream_url"})
"""Addresses, which may hold a password."""

_FIXES = {
    "cache_url": "set it to the cache's endpoint, such as rediss://my-cache.example:6379/0",
    "namespace": "set it to the name that the applications use, such as shop",
    "region": "set it to the region's name, such as eu-west-1, where AWS_REGION is not set",
    "dead_letter_queue_url": (
        "set it to the URL of an SQS queue of this region, "
        "or STALEPROOF_DEAD_LETTER_STREAM to the key of a Redis stream"
    ),
    "dead_letter_stream": "set it to the key of a Redis stream, such as staleproof-dead-letters",
    "dead_letter_stream_url": "set it to the address of the server that has the stream of dead letters",
    "undelivered_queue_url": "set it to the URL of the SQS queue of what AWS gave up delivering",
    "undelivered_bucket": "set it to the name of the bucket of batches that AWS gave up delivering",
    "deferral_set": "set it to the key of a sorted set, such as staleproof-deferred",
    "purge_rate": "set it to a number of tags and keys a second, or 0",
    "clear_rate": "set it to a number of namespaces a minute, or 0",
    "batch_budget": "set it to a duration, such as 10s, below the function's own time-out",
    "bus": "set it to the name of this region's event bus",
    "peers": "set it to the other regions, such as eu-west-1,us-east-1",
    "rules": "set it to the path of the rules file, or STALEPROOF_RULES_TEXT to its contents",
    "rules_interval": "set it to a duration, such as 1m",
    "deferral_queue_url": "set it to the URL of a standard SQS queue of this region",
    "stream": "set it to the key of the Redis stream that applications write to",
    "stream_url": "set it to the address of the server that has the stream",
    "stream_group": "set it to a name, such as staleproof",
    "stream_idle": "set it to a duration, such as 1m",
    "kafka_tombstones": "set it to remove, always or ignore",
    "kafka_schemas": "set it to the path of a file of schemas by subject, or of a folder; or ssm:/NAME or s3://BUCKET/KEY",
    "timeout": "set it to a duration, such as 500ms",
    "journal_horizon": "set it to a duration, such as 15m",
}


def _url(text: str) -> str:
    if not text.startswith(_SCHEMES):
        raise ValueError(f"the scheme must be one of {', '.join(_SCHEMES)}")
    return text


def _stream_url(text: str) -> str:
    if not text.startswith(_SCHEMES) or text.startswith("memory://"):
        raise ValueError("the scheme must be one of redis://, rediss://, unix://")
    return text


def _namespace(text: str) -> str:
    try:
        return Keyspace(text).namespace
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _region(text: str) -> str:
    if not _REGION.match(text):
        raise ValueError("a region is lower-case letters, digits and '-'")
    return text


def _duration(text: Any) -> float:
    try:
        return seconds(text if isinstance(text, str) else float(text), "duration")
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _names(text: Any) -> Any:
    if isinstance(text, str):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


RegionName = Annotated[str, AfterValidator(_region)]
Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0)]


class Settings(BaseModel):
    """A validated set of settings; fields are called as their variables, without the prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cache_url: Annotated[str, AfterValidator(_url)]
    namespace: Annotated[str, AfterValidator(_namespace)]
    region: RegionName
    rules: str = ""
    rules_text: str = ""
    rules_interval: Seconds = 60.0
    deferral_queue_url: str = ""
    dead_letter_queue_url: str = ""
    dead_letter_stream: Annotated[str, Field(max_length=512)] = ""
    dead_letter_stream_url: Annotated[str, AfterValidator(_stream_url)] = ""
    undelivered_queue_url: str = ""
    undelivered_bucket: str = ""
    deferral_set: Annotated[str, Field(max_length=512)] = ""
    purge_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    clear_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    batch_budget: Seconds = 10.0
    stream: Annotated[str, Field(min_length=1, max_length=512)] = "staleproof"
    stream_url: Annotated[str, AfterValidator(_stream_url)] = ""
    stream_group: Annotated[str, Field(min_length=1, max_length=256)] = "staleproof"
    stream_idle: Seconds = 60.0
    kafka_tombstones: Literal["remove", "always", "ignore"] = "remove"
    kafka_schemas: str = ""
    bus: str = ""
    peers: Annotated[tuple[RegionName, ...], BeforeValidator(_names)] = ()
    timeout: Seconds = 1.0
    journal_horizon: Seconds = 900.0

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, given: Mapping[str, str | None] | None = None
    ) -> Self:
        """Read the variables; what is *given* by field goes before them.

        Raises:
            ConfigurationError: one is missing or wrong; it names the variable, the value and the fix.
        """
        env = os.environ if environ is None else environ
        found = {
            name: env[PREFIX + name.upper()] for name in cls.model_fields if env.get(PREFIX + name.upper())
        }
        found.update({name: each for name, each in (given or {}).items() if each is not None})
        found.setdefault("region", env.get("AWS_REGION", ""))
        try:
            settings = cls.model_validate({name: value for name, value in found.items() if value})
        except ValidationError as error:
            raise ConfigurationError("\n".join(_told(detail, found) for detail in error.errors())) from error
        if settings.peers:
            settings.require("bus")
        if settings.region in settings.peers:
            raise ConfigurationError(
                f"STALEPROOF_PEERS names {settings.region!r}, which is this region; list the others only"
            )
        return settings

    @property
    def letters_url(self) -> str:
        """The server that has the stream of dead letters."""
        return self.dead_letter_stream_url or self.cache_url

    def require(self, field: str) -> str:
        """Return *field*, which this function cannot do without.

        Raises:
            ConfigurationError: it is not set.
        """
        value = str(getattr(self, field))
        if not value:
            raise ConfigurationError(f"{PREFIX}{field.upper()} is not set; {_FIXES[field]}")
        return value


def _told(detail: Any, given: Mapping[str, str]) -> str:
    field = str(detail["loc"][0])
    variable = PREFIX + field.upper()
    if detail["type"] == "missing":
        return f"{variable} is not set; {_FIXES[field]}"
    shown = given[field].partition(":")[0] + ":…" if field in _SECRET else given[field]
    return f"{variable}={shown[:80]!r}: {detail['msg'].removeprefix('Value error, ')}; {_FIXES[field]}"
