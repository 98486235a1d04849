"""How the tags of what is loaded inside a load pass to the loads around it; see `staleproof.cache.nesting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from staleproof.cache import nesting, reading
from staleproof.cache.core import Hit
from staleproof.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core

T = TypeVar("T")


def adopted(core: Core, call: Call, value: T) -> T:
    """Return *value*, loaded just now, on whose tags the load around this one depends, if there is one."""
    if nesting.inside():
        nesting.adopt(core.source, core.wanted(call))
    return value


def look_into(core: Core, call: Call) -> Plan[None]:
    """Find what another's load inside this one was built on: its own hits were seen by its own thread alone."""
    try:
        found = yield from reading.look(core, call)
    except ProviderUnavailableError:
        found = None
    if not isinstance(found, Hit):
        nesting.doubt()
