"""Keys: how a template becomes a key, and where things lie on the server.

`Template` renders `product:{product_id}` from named values. Every field is escaped, so that two different
argument lists can never meet in one key: the separator `:` inside a value becomes `%3A`. A field renders to
its *text*, on purpose: `1`, `1.0` and `"1"` are the same key, as they are in a database's change record; so are
`True` and `"true"`, and bytes and their hexadecimal text.

`Keyspace` names the server's keys of one namespace. An entry and its lease share a hash slot; so one
script may touch both in cluster mode.

==================  ====================================================
`sp:NS:{kKEY}`      entry; `{h` for a long key, which ends in its digest
`sp:NS:{kKEY}:l`    lease of that key
`sp:NS:v:TAGID`     version of a tag (8 random bytes)
`sp:NS:m:TAGID`     least row version that a load under this tag may have
`sp:NS:guard`       striped counters, see `staleproof.policies.guard`
`sp:NS:journal`     stream of applied invalidations
`sp:NS:followers`   hash: follower name to its position in the journal
==================  ====================================================
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.texts import text, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from staleproof.tags import TagId

MAX_KEY_BYTES = 512
_FIELD = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class Template:
    """A parsed `literal:{field}:literal` text.

    Attributes:
        source: the text as written.
        fields: the field names in order of appearance, dotted paths whole.
    """

    __slots__ = ("_parts", "fields", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._parts = tuple(self._parse(source))
        self.fields = tuple(part for part, is_field in self._parts if is_field)

    @staticmethod
    def _parse(source: str) -> Iterator[tuple[str, bool]]:
        last = 0
        for match in _FIELD.finditer(source):
            yield source[last : match.start()], False
            name = match.group(1)
            if not _NAME.match(name):
                raise ConfigurationError(
                    f"template {source!r}: field {match.group(0)!r} is not a name; "
                    "write {name} or {name.attribute}"
                )
            yield name, True
            last = match.end()
        yield source[last:], False
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

    def check(self, names: Mapping[str, Any] | frozenset[str]) -> None:
        """Raise `ConfigurationError` if a field's first name is not among *names*."""
        for field in self.fields:
            root = field.partition(".")[0]
            if root not in names:
                known = ", ".join(sorted(names)) or "none"
                raise ConfigurationError(
                    f"template {self.source!r}: unknown field {root!r}; the parameters are: {known}"
                )

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill in *values*; a dotted field reads attributes or mapping keys."""
        return "".join(
            text(_resolve(part, values, self.source)) if is_field else part for part, is_field in self._parts
        )

    def expression(self) -> str:
        """Return Python source that renders this template fast, over variables named as its fields' heads.

        An `int` skips the escape. `SCOPE` must be in scope.
        """
        pieces = [_hole(part) if is_field else _quoted(part) for part, is_field in self._parts]
        return "f'" + "".join(pieces) + "'"


def _hole(field: str) -> str:
    head, _, path = field.partition(".")
    if path:
        return f'{{__text(__attribute({head}, "{path}"))}}'
    return f"{{{head} if __type({head}) is __int else __text({head})}}"


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
    "__type": type,
    "__int": int,
    "__plain": (int, str),
}
"""What `Template.expression` refers to, under names that no parameter may have."""


def _quoted(literal: str) -> str:
    escaped = literal.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return escaped.replace("{", "{{").replace("}", "}}")


def _resolve(path: str, values: Mapping[str, Any], source: str) -> Any:
    head, _, rest = path.partition(".")
    try:
        return attribute(values[head], rest) if rest else values[head]
    except (KeyError, ConfigurationError) as error:
        raise ConfigurationError(f"template {source!r}: no value for field {path!r}") from error


@lru_cache(maxsize=1_024)
def template(source: str) -> Template:
    """Return the parsed template of *source*, memoised."""
    return Template(source)


def key(source: str, **values: Any) -> str:
    """Render a key or tag by hand, with the same escapes as the decorators: `key("brand:{id}", id=7)`."""
    return template(source).render(values)


class Keyspace:
    """Where the things of one namespace lie on the server.

    Raises:
        ConfigurationError: the namespace is not 1 to 64 of letters, digits, `_`, `.`, `-`.
    """

    __slots__ = (
        "_digested",
        "_entry",
        "_min",
        "_prefix",
        "_version",
        "followers",
        "guard",
        "journal",
        "namespace",
        "version",
    )

    def __init__(self, namespace: str) -> None:
        if not _NAMESPACE.match(namespace):
            raise ConfigurationError(
                f"namespace {namespace!r} must be 1 to 64 of letters, digits, '_', '.', '-', "
                "starting with a letter or digit"
            )
        self.namespace = namespace
        self._prefix = f"sp:{namespace}:".encode()
        self._entry = self._prefix + b"{k"
        self._digested = self._prefix + b"{h"  # not `{k`: no short name may look like a long one's digest
        self._version = self._prefix + b"v:"
        self._min = self._prefix + b"m:"
        self.guard = self._prefix + b"guard"
        self.journal = self._prefix + b"journal"
        self.followers = self._prefix + b"followers"
        # The closure is memoised per instance: a tag's key is asked for on every read.
        self.version: Callable[[TagId], bytes] = lru_cache(maxsize=16_384)(self._version_key)

    def entry(self, name: str) -> bytes:
        """Return the entry's key; a name above `MAX_KEY_BYTES` ends in a digest instead."""
        raw = utf8(name)
        if len(raw) > MAX_KEY_BYTES:
            digest = blake2b(raw, digest_size=16).hexdigest().encode()
            return self._digested + raw[: MAX_KEY_BYTES - 33] + b"~" + digest + b"}"
        return self._entry + raw + b"}"

    def lease(self, name: str) -> bytes:
        """Return the key of the lease on *name*."""
        return self.entry(name) + b":l"

    def key_of(self, entry: bytes) -> str | None:
        """Return the key's text by its *entry* on the server; None if that is no entry, or only a digest of its key."""
        if not entry.startswith(self._entry) or not entry.endswith(b"}"):
            return None
        try:
            return entry[len(self._entry) : -1].decode()
        except UnicodeDecodeError:
            return None  # a staged value: its lease's name is random bytes

    def min_version(self, tag: TagId) -> bytes:
        """Return the key of the least acceptable row version under *tag*."""
        return self._min + _short(tag)

    def pushed(self, follower: str) -> bytes:
        """Return the sorted set of journal ids that *follower* was handed ahead of its position."""
        return self._prefix + b"pushed:" + follower.encode()

    def _version_key(self, tag: TagId) -> bytes:
        return self._version + _short(tag)


def _short(tag: TagId) -> bytes:
    return b2a_base64(tag, newline=False)
