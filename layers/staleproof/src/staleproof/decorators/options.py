"""What decorators are told, before it is known of which cache: the class may still add defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec.structs import replace

from staleproof.errors import ConfigurationError
from staleproof.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from staleproof.codecs import CodecFactory
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

Key: TypeAlias = "str | Callable[..., str] | None"
Keys: TypeAlias = "Key | Sequence[str | Callable[..., str]]"
Timing: TypeAlias = Literal["before", "after", "commit"]
PutTiming: TypeAlias = Literal["after", "commit"]


def decorated_one(told: Options | Eviction, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Return the function that a decorator was *given*.

    Raises:
        ConfigurationError: it was given something else, as happens where it stands without its parentheses.
    """
    boxes = (classmethod, staticmethod)
    if len(given) == 1 and not named and (callable(given[0]) or isinstance(given[0], boxes)):
        return given[0]
    if callable(told.key):
        called = getattr(told.key, "__qualname__", told.key)
        raise ConfigurationError(
            f"{called} was passed as key= and is called as the decorated function: the decorator needs its "
            "parentheses; write @cache.cacheable(), and so for cache_put and evicts"
        )
    if len(given) == 1 and not named:
        return given[0]  # refused by name behind this
    raise ConfigurationError("a decorator takes one function; put it above a function's definition")


class Options(Record, frozen=True):
    """How results are kept: what `cacheable`, `cacheable_many` and `cache_put` are told, None where they are not.

    Attributes:
        key: a template, a function of parameters, or None for a digest of the arguments.
        tags: templates of the tags known before the load.
        tags_from: tags that only the result names.
        row_version: the version of the source row behind the result.
        policy: how to keep results: an object, the name of one in the settings, or None for the cache's own.
        when: of the parameters, whether the cache is used at all.
        unless: of the result, whether it is served and not stored.
        provider: the name of another of the cache's providers.
        codec: how values are written; None as the cache writes them.
        each: of many, the parameter that is the list.
        timing: of a put, `after` or `commit`.
        prefix: a template before every key, with a ':' behind it; "" for none.
    """

    key: Key = None
    tags: Sequence[str] | None = None
    tags_from: Callable[[Any], Iterable[str]] | None = None
    row_version: Callable[[Any], int | None] | None = None
    policy: Policy | str | None = None
    when: Callable[..., bool] | None = None
    unless: Callable[[Any], bool] | None = None
    provider: str | None = None
    codec: CodecFactory | None = None
    each: str | None = None
    timing: PutTiming = "after"
    prefix: str = ""

    def behind(self, defaults: Options) -> Options:
        """Return these options, with *defaults* where nothing was said."""
        return replace(
            self,
            tags=defaults.tags if self.tags is None else self.tags,
            policy=defaults.policy if self.policy is None else self.policy,
            prefix=defaults.prefix or self.prefix,
        )


class Eviction(Record, frozen=True):
    """What `evicts` is told.

    Attributes:
        key: a template, a function of parameters, a list of such; or None.
        tags: templates.
        soft: whether old values may be served while new ones are loaded.
        when: of the parameters and the result, whether anything is evicted at all.
        timing: see the module.
        all: the whole namespace.
        row_version: of the result, the source row's version after the change.
        lag: how long replicas of the source may lag.
        provider: the name of another of the cache's providers.
        prefix: see `Options`.
    """

    key: Keys = None
    tags: Sequence[str] = ()
    soft: bool = False
    when: Callable[..., bool] | None = None
    timing: Timing = "after"
    all: bool = False
    row_version: Callable[[Any], int | None] | None = None
    lag: Duration = 0
    provider: str | None = None
    prefix: str = ""

    def behind(self, defaults: Options) -> Eviction:
        """Return the same for a class with *defaults*: of these only the prefix is its business."""
        return replace(self, prefix=defaults.prefix or self.prefix)

    @property
    def keys(self) -> list[str | Callable[..., str]]:
        """The keys as a list."""
        if self.key is None or isinstance(self.key, str) or callable(self.key):
            return [] if self.key is None else [self.key]
        return list(self.key)
