"""YAML as plain values that remember their lines.

The document is composed into nodes, which carry the line of every key and value, and read from there; so an error found
later, by the model, can still say where. Two things are refused that YAML allows: a key given twice (the
later would win in silence), and aliases (a few lines could expand to gigabytes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.nodes import MappingNode, Node

Path = tuple[str | int, ...]

MAX_DEPTH = 20
MAX_SCALAR = 2_000
"""Characters of one value; no field takes as many."""


class MarkedError(Exception):
    """What is wrong, and the line (from 1) where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Document:
    """Plain values, and the line of each path: of its key in a mapping, of its item in a list."""

    def __init__(self, text: str, *, max_depth: int = MAX_DEPTH, max_scalar: int = MAX_SCALAR) -> None:
        self._lines: dict[Path, int] = {(): 1}
        self._max_scalar = max_scalar
        try:
            _check_events(text, max_depth)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise _syntax(error) from error
        except yaml.YAMLError as error:
            raise MarkedError(1, f"{error}; save the file as UTF-8 text") from error
        self._constructor = yaml.SafeLoader("")
        self.value = None if node is None else self._read(node, ())

    def line(self, path: Path) -> int:
        """Return the line of *path*, or of the nearest thing around it."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _read(self, node: Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {name: self._read(value, (*path, name)) for name, value in self._pairs(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, at)) for at, item in enumerate(node.value)]
        return self._scalar(node)

    def _item(self, node: Node, path: Path) -> Any:
        self._lines[path] = _line(node)
        return self._read(node, path)

    def _pairs(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if not name or name in seen:
                problem = f"{name!r} is given twice; keep one" if name else "a key must be a plain word"
                raise MarkedError(_line(key), problem)
            seen.add(name)
            self._lines[(*path, name)] = _line(key)
            yield name, value

    def _scalar(self, node: Node) -> Any:
        if len(node.value) > self._max_scalar:
            raise MarkedError(
                _line(node), f"a value of {len(node.value)} characters; write at most {self._max_scalar}"
            )
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            reason = str(error).partition("\n")[0]
            raise MarkedError(_line(node), f"{node.value[:80]!r}: {reason}; put it in quotes") from error
        except (
            Exception
        ) as error:  # the constructor indexes and looks up whatever an explicit tag stands before
            kind = str(node.tag).rpartition(":")[2]
            raise MarkedError(
                _line(node), f"{node.value[:80]!r} is no {kind}; remove the tag !!{kind}, or put it in quotes"
            ) from error


def _check_events(text: str, max_depth: int) -> None:
    """Refuse aliases and deep nesting before anything is composed: composing is recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise MarkedError(_line(event), f"alias *{event.anchor}: write it out; aliases are not supported")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > max_depth:
            raise MarkedError(_line(event), f"nested deeper than {max_depth}; write it flat")


def _syntax(error: yaml.MarkedYAMLError) -> MarkedError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    context = f" ({error.context})" if error.context else ""
    return MarkedError(
        line,
        f"YAML: {error.problem}{context}; check indentation, quotes and brackets (quote values with ':' or '{{')",
    )


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
