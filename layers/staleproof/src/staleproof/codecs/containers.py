"""Shapes of containers: builtin ones, those of `collections`, and abstract ones."""

from __future__ import annotations

import collections
import collections.abc
from operator import is_
from typing import TYPE_CHECKING, Any, get_args

from staleproof.codecs.annotations import class_of, filled, union_of
from staleproof.codecs.records import wire_record
from staleproof.codecs.shapes import Shape
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from staleproof.codecs.shapes import Builder

# What an annotation that names no class may be read back as: the first as such, the others under their name.
_ABSTRACT: dict[Any, tuple[type, ...]] = {
    collections.abc.Sequence: (list, tuple),
    collections.abc.MutableSequence: (list,),
    collections.abc.Collection: (list, tuple, set, frozenset),
    collections.abc.Set: (set, frozenset),
    collections.abc.MutableSet: (set,),
}
_MAPPINGS = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})


def _all(convert: Callable[[Any], Any] | None) -> Callable[[Iterable[Any]], Iterable[Any]] | None:
    """Return what converts every item; it returns the very container if no item became another."""
    if convert is None:
        return None

    def to_wire(values: Iterable[Any]) -> Iterable[Any]:
        written = [convert(each) for each in values]
        return values if all(map(is_, written, values)) else written

    return to_wire


def array(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a list, set or frozenset."""
    cls = class_of(kind)
    if cls not in {list, set, frozenset}:
        return None
    item = builder.shape(*get_args(kind) or (Any,))
    to_wire, restore = _all(item.to_wire), item.from_wire
    if restore is None:
        return Shape(filled(cls, item.wire), (cls,), to_wire, None, item.dated)

    def from_wire(wire: Any) -> Any:
        values = [restore(each) for each in wire]
        return values if cls is list else cls(values)

    return Shape(filled(list, item.wire), (cls,), to_wire, from_wire, item.dated)


def tuple_of(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a tuple, of one type throughout or of one a place."""
    if class_of(kind) is not tuple:
        return None
    kinds = get_args(kind)
    if not kinds and kind != tuple[()]:
        kinds = (Any, ...)
    if kinds[1:] == (...,):
        return _tuple_throughout(builder.shape(kinds[0]))
    items = [builder.shape(each) for each in kinds]

    def to_wire(value: Any) -> Any:
        return tuple(each.written(part) for each, part in zip(items, value, strict=True))

    def from_wire(wire: Any) -> Any:
        return tuple(each.restored(part) for each, part in zip(items, wire, strict=True))

    return Shape(
        filled(tuple, *(each.wire for each in items)),
        (tuple,),
        to_wire if any(each.to_wire for each in items) else None,
        from_wire if any(each.from_wire for each in items) else None,
        any(each.dated for each in items),
    )


def _tuple_throughout(item: Shape) -> Shape:
    restore = item.from_wire
    from_wire = None if restore is None else lambda wire: tuple(map(restore, wire))
    return Shape(filled(tuple, item.wire, ...), (tuple,), _all(item.to_wire), from_wire, item.dated)


def mapping(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a dictionary: one in the format where its keys allow it, else a list of pairs."""
    if class_of(kind) not in _MAPPINGS:
        return None
    return _dictionary(builder, *get_args(kind) or (Any, Any))


def _dictionary(builder: Builder, key_kind: Any, item_kind: Any) -> Shape:
    key, item = builder.shape(key_kind), builder.shape(item_kind)
    if key_kind is item_kind is Any and not builder.dialect.odd_keys:
        return _untyped_dictionary(builder)
    dated = key.dated or item.dated
    if builder.dialect.takes_key(key):
        return Shape(filled(dict, key.wire, item.wire), (dict,), *_entry_functions(key, item), dated)
    pairs = filled(list, filled(tuple, key.wire, item.wire))

    def to_wire(value: Any) -> Any:
        return [(key.written(name), item.written(each)) for name, each in value.items()]

    def from_wire(wire: Any) -> Any:
        return {key.restored(name): item.restored(each) for name, each in wire}

    return Shape(pairs, (dict,), to_wire, from_wire, dated)


def _entry_functions(key: Shape, item: Shape) -> tuple[Any, Any]:
    def to_wire(value: Any) -> Any:
        if key.to_wire is not None:
            return {key.written(name): item.written(each) for name, each in value.items()}
        written = [item.written(each) for each in value.values()]
        same = all(map(is_, written, value.values()))
        return value if same else dict(zip(value, written, strict=True))

    def from_wire(wire: Any) -> Any:
        return {name: item.restored(each) for name, each in wire.items()}

    return (to_wire if key.to_wire or item.to_wire else None), (from_wire if item.from_wire else None)


def _untyped_dictionary(builder: Builder) -> Shape:
    shape = builder.dialect.untyped

    def from_wire(wire: Any) -> Any:
        value = shape.restored(wire)
        if type(value) is not dict:
            raise TypeError("no dictionary")
        return value

    return Shape(shape.wire, (dict,), shape.to_wire, from_wire)


def special(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of a container of `collections`."""
    cls, args = class_of(kind), get_args(kind)
    if cls is collections.defaultdict:
        raise ConfigurationError(
            "a defaultdict cannot be read back, for its factory is code; annotate a dict"
        )
    if cls is collections.deque:
        return _deque(builder.shape(filled(list, *args or (Any,))))
    if cls is collections.OrderedDict:
        whole = _dictionary(builder, *args or (Any, Any))
    elif cls is collections.Counter:
        whole = _dictionary(builder, args[0] if args else Any, int)
    else:
        return None
    return Shape(whole.wire, (cls,), whole.to_wire, lambda wire: cls(whole.restored(wire)), whole.dated)


def _deque(items: Shape) -> Shape:
    return Shape(
        filled(tuple, int | None, items.wire),
        (collections.deque,),
        lambda value: (value.maxlen, items.written(list(value))),
        lambda wire: collections.deque(items.restored(wire[1]), wire[0]),
        items.dated,
    )


def abstract(builder: Builder, kind: Any) -> Shape | None:
    """Return the shape of `Sequence` and its like: values keep the class that they have."""
    classes = _ABSTRACT.get(class_of(kind))
    if classes is None:
        return None
    item = get_args(kind) or (Any,)
    kinds = (filled(each, *item, ...) if each is tuple else filled(each, *item) for each in classes)
    first, *others = map(builder.shape, kinds)
    if not others:
        return first
    named = {each.classes[0].__name__: each for each in others}
    others_wire = wire_record({name: (each.wire, False) for name, each in named.items()})

    def to_wire(value: Any) -> Any:
        name = type(value).__name__
        return {name: named[name].written(value)} if name in named else first.written(value)

    def from_wire(wire: Any) -> Any:
        if type(wire) is not dict:
            return first.restored(wire)
        ((name, each),) = wire.items()
        return named[name].restored(each)

    return Shape(union_of([first.wire, others_wire]), classes, to_wire, from_wire, first.dated)
