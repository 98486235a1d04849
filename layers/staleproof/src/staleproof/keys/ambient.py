"""Ambient fields: what every key below this line depends on and no argument says, such as the tenant.

The values live in a context variable: a task inherits them from whoever started it, and so does a thread that is
given the context (`contextvars.copy_context().run`, `asyncio.to_thread`); a bare `threading.Thread` begins with none.
A template that asks for a value that is not set is an error, never a key without it: two tenants must not meet.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_values: ContextVar[Mapping[str, Any]] = ContextVar("staleproof_ambient", default=_NOTHING)


@contextmanager
def ambient(**values: Any) -> Iterator[None]:
    """Give templates within the block their ambient fields: `{@tenant}` for `tenant="acme"`.

    Blocks nest: the inner one adds to the outer one's values, and hides those of the same name until it ends.
    """
    token = _values.set(MappingProxyType({**_values.get(), **values}))
    try:
        yield
    finally:
        _values.reset(token)


def ambient_value(name: str) -> Any:
    """Return the value of the ambient field *name*.

    Raises:
        ConfigurationError: nobody has set it in this context.
    """
    try:
        return _values.get()[name]
    except KeyError:
        known = ", ".join(sorted(_values.get())) or "none"
        raise ConfigurationError(
            f"the ambient field {{@{name}}} has no value here; call this inside `with ambient({name}=...):` "
            f"(set now: {known}; a new thread inherits nothing)"
        ) from None
