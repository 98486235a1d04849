"""`Template`: how `product:{product_id}` becomes a key.

Every field is escaped, so that two different argument lists can never meet in one key: the separator `:` inside a value
becomes `%3A`. A field renders to its *text*, on purpose: `1`, `1.0` and `"1"` are the same key, as they are in a
database's change record; so are `True` and `"true"`, and bytes and their hexadecimal text.

=========================  ==========================================================================
`{product_id}`             a value by name
`{user.id}`                an attribute of it, or what it maps to
`{email:strip|lower}`      what formatters make of it, see `staleproof.keys.formatters`
`{@tenant}`                a value from the context, see `staleproof.keys.ambient`
`{tenant_id:slot}`         renders in braces, `{7}`: keys that agree there share a cluster slot
=========================  ==========================================================================

Braces within values are escaped; so the only braces of a rendered key are those of its slot field.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.keys.ambient import ambient_value
from staleproof.keys.formatters import FORMATTERS, SLOT, check
from staleproof.records import Record
from staleproof.texts import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIELD = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z")


class Field(Record, frozen=True):
    """What stands between two braces of a template.

    Attributes:
        head: the first name.
        rest: what follows it, dotted; or "".
        formatters: what the value goes through, in this order.
        ambient: whether the context has the value, not the arguments.
        slot: whether keys that agree here share a cluster slot.
    """

    head: str
    rest: str = ""
    formatters: tuple[str, ...] = ()
    ambient: bool = False
    slot: bool = False

    @property
    def path(self) -> str:
        """The whole dotted name."""
        return f"{self.head}.{self.rest}" if self.rest else self.head

    @property
    def bare(self) -> bool:
        """Whether it is a parameter by name and nothing else."""
        return not (self.rest or self.formatters or self.ambient)

    def text(self, values: Mapping[str, Any], source: str) -> str:
        """Return what it renders to, escaped, among *values*."""
        value = self._value(values, source)
        for name in self.formatters:
            value = FORMATTERS[name](value)
        return f"{{{text(value)}}}" if self.slot else text(value)

    def _value(self, values: Mapping[str, Any], source: str) -> Any:
        if self.ambient:
            value = ambient_value(self.head)
            return attribute(value, self.rest) if self.rest else value
        try:
            return attribute(values[self.head], self.rest) if self.rest else values[self.head]
        except (KeyError, ConfigurationError) as error:
            raise ConfigurationError(f"template {source!r}: no value for field {self.path!r}") from error

    def expression(self) -> str:
        """Return the same as Python source, within an f-string, over variables named as the fields' heads."""
        source = f'__ambient("{self.head}")' if self.ambient else self.head
        if self.rest:
            source = f'__attribute({source}, "{self.rest}")'
        for name in self.formatters:
            source = f'__format["{name}"]({source})'
        hole = f"__text({source})"
        if self.bare:  # an `int` skips the escape
            hole = f"{self.head} if __type({self.head}) is __int else {hole}"
        return f"{{{{{{{hole}}}}}}}" if self.slot else f"{{{hole}}}"


class Template:
    """A parsed text, checked as far as it can be without values.

    Attributes:
        source: the text as written.
        holes: its fields in order of appearance.
        fields: the names that *values* must have, in order of appearance, dotted paths whole.

    Raises:
        ConfigurationError: it is no template; the message names it and the fix.
    """

    __slots__ = ("_parts", "fields", "holes", "source")

    def __init__(self, source: str) -> None:
        if not isinstance(source, str):
            raise ConfigurationError(f"a template is a text, not {source!r}; write such as 'product:{{id}}'")
        self.source = source
        self._parts = tuple(_parse(source))
        self.holes = tuple(part for part in self._parts if isinstance(part, Field))
        self.fields = tuple(field.path for field in self.holes if not field.ambient)
        if sum(field.slot for field in self.holes) > 1:
            raise ConfigurationError(
                f"template {source!r}: a key lies in one slot; mark one field with ':slot'"
            )

    @property
    def ambient(self) -> tuple[str, ...]:
        """The names that the context must have."""
        return tuple(field.head for field in self.holes if field.ambient)

    @property
    def slotted(self) -> bool:
        """Whether a field decides the slot of the key."""
        return any(field.slot for field in self.holes)

    def check(self, names: Mapping[str, Any] | frozenset[str]) -> None:
        """Raise `ConfigurationError` if a field's first name is not among *names*."""
        for field in self.holes:
            if not field.ambient and field.head not in names:
                known = ", ".join(sorted(names)) or "none"
                raise ConfigurationError(
                    f"template {self.source!r}: unknown field {field.head!r}; the parameters are: {known}"
                )

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill in *values*; a dotted field reads attributes or mapping keys."""
        return "".join(
            part if isinstance(part, str) else part.text(values, self.source) for part in self._parts
        )

    def expression(self) -> str:
        """Return Python source that renders this template fast. What `SCOPE` holds must be in scope."""
        pieces = [_quoted(part) if isinstance(part, str) else part.expression() for part in self._parts]
        return "f'" + "".join(pieces) + "'"


def _parse(source: str) -> Iterator[str | Field]:
    last = 0
    for match in _FIELD.finditer(source):
        yield source[last : match.start()]
        yield _field(match.group(1), source)
        last = match.end()
    yield source[last:]
    if "{" in _FIELD.sub("", source) or "}" in _FIELD.sub("", source):
        raise ConfigurationError(f"template {source!r}: a brace is not closed; write fields as {{name}}")
    if not source or not source.isprintable():
        raise ConfigurationError(
            f"template {source!r} is empty or holds control characters; write plain text"
        )
    for between in _FIELD.split(source)[2:-1:2]:
        if ":" not in between:
            raise ConfigurationError(
                f"template {source!r}: two fields with {between!r} between them can make one key of different "
                "values; put a ':' between them"
            )


def _field(inside: str, source: str) -> Field:
    path, colon, chain = inside.partition(":")
    ambient = path.startswith("@")
    if not _NAME.match(path.removeprefix("@")):
        raise ConfigurationError(
            f"template {source!r}: field '{{{inside}}}' is not a name; write {{name}}, {{name.attribute}}, "
            "{name:formatter} or {@ambient}"
        )
    names = chain.split("|") if colon else []
    slot = names[-1:] == [SLOT]
    formatters = tuple(names[:-1] if slot else names)
    for name in formatters:
        check(name, source)
    head, _, rest = path.removeprefix("@").partition(".")
    return Field(head, rest, formatters, ambient, slot)


def attribute(value: Any, path: str) -> Any:
    """Follow the dotted *path* from *value* through attributes and mapping keys.

    Raises:
        ConfigurationError: there is nothing there.
    """
    try:
        for name in path.split("."):
            value = value[name] if hasattr(value, "keys") else getattr(value, name)
    except (KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"a {type(value).__name__} has no {path!r}; name an attribute that it has"
        ) from error
    return value


SCOPE: dict[str, Any] = {
    "__text": text,
    "__attribute": attribute,
    "__ambient": ambient_value,
    "__format": FORMATTERS,
    "__type": type,
    "__int": int,
    "__plain": (int, str),
}
"""What `Template.expression` refers to, under names that no parameter may have."""


def _quoted(literal: str) -> str:
    escaped = literal.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return escaped.replace("{", "{{").replace("}", "}}")


@lru_cache(maxsize=1_024)
def template(source: str) -> Template:
    """Return the parsed template of *source*, memoised."""
    return Template(source)


def key(source: str, **values: Any) -> str:
    """Render a key or tag by hand, with the same escapes as the decorators: `key("brand:{id}", id=7)`."""
    return template(source).render(values)
