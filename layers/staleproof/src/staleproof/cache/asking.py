"""What callers pass and what their loaders return, checked: a slip must not pass for an empty answer. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

T = TypeVar("T")

_SHOWN = 80


def checked_key(key: object) -> str:
    """Return *key*, or raise `ConfigurationError` if it is no text."""
    if not isinstance(key, str):
        raise ConfigurationError(f"key={_shown(key)} is no text; build keys with `staleproof.key`")
    return key


def checked_name(policy: object) -> str:
    """Return *policy*, or raise `ConfigurationError` if it is no name of one."""
    if not isinstance(policy, str):
        raise ConfigurationError(
            f"policy={_shown(policy)} is neither a Policy nor the name of one; write policy=Policy(ttl='10m')"
        )
    return policy


def checked_tags(tags: Any) -> tuple[str, ...]:
    """Return *tags*, or raise `ConfigurationError` if they are no list of texts."""
    if isinstance(tags, str | bytes):
        raise ConfigurationError(f"tags={_shown(tags)} is one text; pass a list of tags: [{_shown(tags)}]")
    if not isinstance(tags, Iterable):
        raise ConfigurationError(f"tags={_shown(tags)} is no list of texts; leave tags= out for none")
    texts = tuple(tags)
    for tag in texts:
        if not isinstance(tag, str):
            raise ConfigurationError(f"tags: {_shown(tag)} is no text; build tags with `staleproof.key`")
    return texts


def distinct_keys(keys: Iterable[str]) -> list[str]:
    """Return *keys*, each once.

    Raises:
        ConfigurationError: they are one text, whose characters would pass for keys, or no texts.
    """
    if isinstance(keys, str | bytes) or not isinstance(keys, Iterable):
        raise ConfigurationError(f"keys={_shown(keys)} is one key; pass a list: [{_shown(keys)}]")
    return [checked_key(key) for key in dict.fromkeys(keys)]


def checked_values(values: Any) -> Mapping[str, Any]:
    """Return *values*, or raise `ConfigurationError` if they are no mapping by key."""
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"values={_shown(values)} is no mapping; pass a dict from each key to its value, or see `load_all`"
        )
    return values


def told(asked: Sequence[Any], places: Collection[int], loaded: Any) -> dict[int, Any]:
    """Return by place what a loader of many has *loaded* of what it was *asked* for at *places*.

    Raises:
        ConfigurationError: it returned no mapping, or names what it was asked for in other ways.
    """
    if not (hasattr(loaded, "keys") and hasattr(loaded, "__getitem__")):
        raise ConfigurationError(
            f"the loader returned {_shown(loaded)}, a {type(loaded).__name__}; return a dict by id, as asked"
        )
    found = {at: loaded[asked[at]] for at in places if asked[at] in loaded}
    if places and loaded and not found:
        _refuse_foreign([asked[at] for at in places], list(loaded.keys()))
    return found


def _refuse_foreign(wanted: Sequence[Any], came: Sequence[Any]) -> None:
    """Refuse what *came* if it looks like what was *wanted* by other names; a loader may return what nobody asked for.

    That is so if the types differ, or if texts are the ends of keys: `"42"` for `"product:42"`.
    """
    ends = {str(one).rpartition(":")[2] for one in wanted}
    alike = {type(one) for one in wanted} & {type(one) for one in came}
    if alike and not any(str(one) in ends for one in came):
        return
    raise ConfigurationError(
        f"the loader was asked for {_shown(wanted[0])} and returned {_shown(came[0])}, and nothing it was asked for; "
        "return a dict by the very values that it got"
    )


def blocking(loader: Callable[[], T], named: Any = None) -> Callable[[], T]:
    """Return *loader*, which raises `ConfigurationError` if what it returns would have to be awaited.

    *named* is what the message calls it.
    """

    def load() -> T:
        value = loader()
        if isinstance(value, CoroutineType):
            value.close()
            raise ConfigurationError(
                f"the loader {_called(named or loader)} is a coroutine function; use an AsyncCache"
            )
        return value

    return load


def awaitable(result: Any, loader: Any) -> Awaitable[Any]:
    """Return the *result* of *loader*, or raise `ConfigurationError` if it cannot be awaited."""
    from inspect import isawaitable  # noqa: PLC0415 - a cold start of blocking code does without

    if not isawaitable(result):
        raise ConfigurationError(
            f"the loader {_called(loader)} is no coroutine function; write `async def`, or use a Cache"
        )
    return result


def awaiting(loader: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """Return *loader*, which raises `ConfigurationError` if what it returns cannot be awaited."""
    return lambda: awaitable(loader(), loader)


def _called(loader: Any) -> str:
    return str(getattr(loader, "__qualname__", loader))


def _shown(value: object) -> str:
    return f"{value!r:.{_SHOWN}}"
