"""Shapes: how values of one type are written in a format, compiled once from the type.

Theory of operation. msgspec reads and writes most types by itself, in C, by their annotations; what it cannot is
rewritten into what it can. The shape of a type has a *wire* type, which msgspec is asked to read, and two functions
between values and wire values, each of them None where there is nothing to do:

    value → to_wire → msgspec's encoder → bytes → msgspec's decoder(wire) → from_wire → value

A shape is built from the shapes of the parts, so the functions visit what needs them and nothing else: a list of
dataclasses of builtins has neither; a list of paths has both; a dataclass with a field of `Any` has only `to_wire`.

A type may contain itself. Its inner mention is first taken to be one that msgspec can read alone, which most
recursive types are. If that turns out to be wrong the type is compiled once more, *deferring*: an inner mention is then
read as plain builtins and converted by the finished shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from staleproof.codecs.annotations import unwrapped
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.codecs.dialect import Dialect

REMEDY = "annotate a dataclass, pydantic model, TypedDict, NamedTuple, msgspec Struct or builtin type"


class Shape(NamedTuple):
    """How values of one type are written.

    Attributes:
        wire: the type that msgspec reads; if `from_wire` is None, its value is the value.
        classes: the exact classes of the values, as far as they are known: they tell the members of a union apart.
        to_wire: a value to what is encoded; None: itself.
        from_wire: what was decoded to the value; None: itself.
        dated: whether msgspec may meet a `datetime` in it.
    """

    wire: Any
    classes: tuple[Any, ...]
    to_wire: Callable[[Any], Any] | None = None
    from_wire: Callable[[Any], Any] | None = None
    dated: bool = False

    @property
    def plain(self) -> bool:
        """Say whether msgspec alone reads and writes it."""
        return self.to_wire is None and self.from_wire is None

    def written(self, value: Any) -> Any:
        """Return what is encoded for *value*."""
        return value if self.to_wire is None else self.to_wire(value)

    def restored(self, wire: Any) -> Any:
        """Return the value that was decoded to *wire*."""
        return wire if self.from_wire is None else self.from_wire(wire)


class _Open:
    """A type whose shape is being built, and who mentioned it meanwhile."""

    def __init__(self) -> None:
        self.mentioned = False
        self.shape: Shape | None = None


class Builder:
    """Builds the shapes of one type and of everything in it, for one format.

    Attributes:
        wide: whether an integer where a float is declared is to come back as one, which costs records their speed.
        floats: whether a float was met.
    """

    def __init__(self, dialect: Dialect, *, deferring: bool = False, wide: bool = False) -> None:
        self.dialect = dialect
        self.deferring = deferring
        self.wide = wide
        self.floats = False
        self.mistaken = False
        self._open: dict[Any, _Open] = {}

    def shape(self, kind: Any) -> Shape:
        """Return the shape of *kind*.

        Raises:
            ConfigurationError: something in it cannot be read back.
        """
        bare, constraints = unwrapped(kind)
        opened = self._open.get(bare) if isinstance(bare, type) or hasattr(bare, "__origin__") else None
        if opened is not None:
            return self._mention(bare, opened)
        shape = self._built(bare)
        if constraints and shape.from_wire is None:
            return shape._replace(wire=Annotated[(shape.wire, *constraints)])
        return shape

    def _built(self, bare: Any) -> Shape:
        for find in self.dialect.finders:
            shape = find(self, bare)
            if shape is not None:
                return shape
        raise ConfigurationError(f"nothing is known of how to read {bare!r} back; {REMEDY}")

    def recursive(self, kind: Any, build: Callable[[], Shape]) -> Shape:
        """Return what *build* makes of the class *kind*, which may mention itself in its fields."""
        opened = self._open[kind] = _Open()
        try:
            opened.shape = build()
        finally:
            del self._open[kind]
        self.mistaken |= opened.mentioned and not opened.shape.plain
        return opened.shape

    def _mention(self, kind: Any, opened: _Open) -> Shape:
        opened.mentioned = True
        cls = getattr(kind, "__origin__", kind)
        if not self.deferring:
            return Shape(kind, (cls,))

        def finished() -> Shape:
            if opened.shape is None:
                raise AssertionError("a shape is used before it is built")
            return opened.shape

        def to_wire(value: Any) -> Any:
            return finished().written(value)

        def from_wire(raw: Any) -> Any:
            return finished().restored(self.dialect.converted(raw, finished().wire))

        return Shape(Any, (cls,), to_wire, from_wire)


def compiled(kind: Any, dialect: Dialect, *, wide: bool = False) -> tuple[Shape, bool]:
    """Return the shape of *kind* in the format *dialect*, and whether a float is declared anywhere in it.

    Raises:
        ConfigurationError: something in it cannot be read back; the text says what to do.
    """
    builder = Builder(dialect, wide=wide)
    try:
        shape = builder.shape(kind)
        if builder.mistaken:
            shape = Builder(dialect, deferring=True, wide=wide).shape(kind)
    except RecursionError as error:
        raise ConfigurationError("an alias in it contains itself; make it a dataclass") from error
    return shape, builder.floats
