"""What a source gave: values by the dotted path of their setting, each with its origin.

A *layer* is what one source gave. Layers lie on one another: a later one hides an earlier one path by path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.config.secret import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias


class Given:
    """One value as it was written, and where.

    Args:
        value: the text, number or list that the source holds.
        origin: where, such as `environment STALEPROOF_TTL`; or what finds it out, once somebody asks.
        secret: whether the source itself keeps the value secret.
    """

    __slots__ = ("_origin", "secret", "value")

    def __init__(self, value: Any, origin: str | Callable[[], str], *, secret: bool = False) -> None:
        self.value = value
        self.secret = secret
        self._origin = origin

    @property
    def origin(self) -> str:
        """Where the value stands: `staleproof.toml:12`."""
        if not isinstance(self._origin, str):
            self._origin = self._origin()
        return self._origin

    def __repr__(self) -> str:
        return f"<{HIDDEN} from {self.origin}>"


Layer: TypeAlias = "dict[str, Given]"


def flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested tables by dotted path; a table without any is a leaf."""
    for name, value in table.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value:
            yield from flat(value, f"{path}.")
        else:
            yield path, value


def arguments(given: Mapping[str, Any]) -> Layer:
    """Return the layer of a call's own keyword arguments, nested ones as dictionaries."""
    return {path: Given(value, f"argument {path}") for path, value in flat(given)}
