"""What is public says what it is for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.tree import Module, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: Documented, name: str = "") -> Iterator[tuple[str, Documented]]:
    """The module or class *node* and every public class, function and method under it, not what functions hold."""
    yield name, node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
            yield from public(child, f"{name}.{child.name}")


def is_overload(node: Documented) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(decorator).split(".")[-1] in {"overload", "setter"} for decorator in decorators)


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)
def test_everything_public_has_a_docstring(module: Module) -> None:
    """Every public module, class, function and method opens with a docstring."""
    silent = [
        name or "the module"
        for name, node in public(module.tree())
        if not ast.get_docstring(node) and not is_overload(node)
    ]

    assert silent == []
