"""Sizes that keep a module one noun and a function one thought."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.tree import Module, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE_LINES = 300
FUNCTION_LINES = 40
CLASS_LINES = 200
NESTING = 3
DEPTH = 2

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)

SUITES = (
    "layers/staleproof/src/staleproof/testing/"  # shipped tests: lists of laws, as long as there are laws
)

every_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
every_plain_module = pytest.mark.parametrize(
    "module",
    [module for module in modules() if not module.name.startswith(SUITES)],
    ids=lambda module: module.name,
)


def lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def nesting(statements: list[ast.stmt]) -> int:
    return max((_deepest(statement) for statement in statements), default=0)


def _deepest(node: ast.stmt) -> int:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)) or not isinstance(node, BLOCKS):
        return 0  # a nested function is judged by itself
    return max((nesting(body) + step for body, step in _bodies(node)), default=0)


def _bodies(node: ast.stmt) -> Iterator[tuple[list[ast.stmt], int]]:
    """Each body of a block, and how much deeper it lies: `elif` is no deeper than its `if`."""
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, [])
        chained = field == "orelse" and len(body) == 1 and isinstance(body[0], ast.If)
        yield body, 0 if chained and isinstance(node, ast.If) else 1
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body, 1


def over(module: Module, kinds: tuple[type[ast.stmt], ...], limit: int) -> list[str]:
    return [
        f"{node.name}: {lines(node)} lines"  # type: ignore[attr-defined]
        for node in ast.walk(module.tree())
        if isinstance(node, kinds) and lines(node) > limit
    ]


@every_plain_module
def test_a_module_is_short(module: Module) -> None:
    """A module has at most 300 lines."""
    length = len(module.path.read_text().splitlines())

    assert length <= MODULE_LINES


@every_module
def test_a_function_is_short(module: Module) -> None:
    """A function has at most 40 lines, its docstring included."""
    assert over(module, FUNCTIONS, FUNCTION_LINES) == []


@every_plain_module
def test_a_class_is_short(module: Module) -> None:
    """A class has at most 200 lines."""
    assert over(module, (ast.ClassDef,), CLASS_LINES) == []


@every_module
def test_blocks_are_flat(module: Module) -> None:
    """Blocks nest at most three deep inside a function."""
    deep = [
        f"{node.name}: {depth} deep"
        for node in ast.walk(module.tree())
        if isinstance(node, FUNCTIONS) and (depth := nesting(node.body)) > NESTING
    ]

    assert deep == []


@every_module
def test_packages_are_shallow(module: Module) -> None:
    """At most two packages lie between an import root and a module."""
    assert module.depth <= DEPTH


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("pass", 0),
        ("if a:\n pass\nelif b:\n pass\nelse:\n pass", 1),
        ("for a in b:\n if a:\n  pass", 2),
        ("if a:\n pass\nelse:\n if b:\n  pass\n c()", 2),
        ("try:\n pass\nexcept E:\n with a:\n  while b:\n   if c:\n    pass", 4),
        ("match a:\n case 1:\n  if b:\n   pass", 2),
        ("if a:\n def inner():\n  if b:\n   pass", 1),
    ],
)
def test_nesting_is_counted_as_a_reader_sees_it(source: str, depth: int) -> None:
    """A chain of `elif` is one level, an exception's handler and a case are one, a nested function starts anew."""
    assert nesting(ast.parse(source).body) == depth
