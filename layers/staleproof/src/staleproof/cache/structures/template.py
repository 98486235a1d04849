"""`Structures`: `cache.sorted_set("leaderboard:{game}", …)`, which makes a handle for each game."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from staleproof.cache.asking import checked_tags
from staleproof.cache.structures.handle import Bound, with_end
from staleproof.errors import ConfigurationError
from staleproof.keys import template
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from staleproof.cache.structures.elements import Element
    from staleproof.policies.policy import Policy

H = TypeVar("H")

MAX_TEXT = 4_096


class Structures(Generic[H]):
    """The structures of one template; called with the values of its fields, it returns a handle.

    Args:
        make: makes a handle.
        face: the cache.
        key: a template such as `"leaderboard:{game}"`, or a plain text.
        tags: templates of tags over the same fields.
        policy: how long a structure lives after the last writing; only its `ttl` and `lease` count.
        elements: how members, fields and values are written.
        limits: bounds of this kind.

    Raises:
        ConfigurationError: a template cannot be read, a tag names a field that the key lacks, or there is no ttl.
    """

    def __init__(
        self,
        make: Callable[[Bound], H],
        face: Any,
        key: str,
        tags: Iterable[str],
        policy: Policy | str | None,
        *elements: Element[Any],
        **limits: Any,
    ) -> None:
        self._make = make
        self._face = face
        self._key = template(key)
        self._fields = tuple(dict.fromkeys(field.head for field in self._key.holes if not field.ambient))
        self._tags = tuple(map(template, checked_tags(tags)))
        for each in self._tags:
            each.check(frozenset(self._fields))
        with_end(face.policy_of(policy))
        self._policy = policy
        self._elements = elements
        self._limits = limits

    def __call__(self, *values: Any, **named: Any) -> H:
        """Return the handle for these values of the template's fields, in their order or by name.

        Raises:
            ConfigurationError: there are too many or too few, or one has no text.
        """
        given = self._given(values, named)
        key = self._key.render(given)
        if len(key) > MAX_TEXT:
            raise ConfigurationError(
                f"key {key[:80]!r}… has {len(key)} characters; the limit is {MAX_TEXT}: hash long parts"
            )
        tags = tuple(each.render(given) for each in self._tags)
        ids = (ROOT, *sorted(set(map(tag_id, tags))))
        return self._make(Bound(self._face, key, tags, ids, self._policy, self._elements, self._limits))

    def _given(self, values: tuple[Any, ...], named: dict[str, Any]) -> Mapping[str, Any]:
        given = dict(zip(self._fields, values, strict=False))
        twice = given.keys() & named.keys()
        given.update(named)
        if len(values) > len(self._fields) or twice or given.keys() != set(self._fields):
            fields = ", ".join(self._fields) or "none"
            raise ConfigurationError(
                f"template {self._key.source!r} takes a value for each of its fields: {fields}; "
                f"it got {len(values)} in order, and by name: {', '.join(sorted(named)) or 'none'}"
            )
        return given

    def __repr__(self) -> str:
        return f"Structures({self._key.source!r})"
