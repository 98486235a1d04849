"""Modules and classes are called what they are."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.tree import Module, modules

EMPTY = {
    "util",
    "utils",
    "utilities",
    "helper",
    "helpers",
    "common",
    "manager",
    "managers",
    "misc",
    "service",
    "services",
}
EMPTY_SUFFIX = re.compile(r"(Util|Utils|Helper|Helpers|Manager|Service)$")

every_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


@every_module
def test_a_module_is_named_for_its_idea(module: Module) -> None:
    """No file or folder hides behind `utils`, `helpers`, `common`, `manager` or `service`."""
    parts = module.path.relative_to(module.root).with_suffix("").parts
    words = {word for part in parts for word in part.split("_")}

    assert words & EMPTY == set()


@every_module
def test_a_class_is_named_for_what_it_is(module: Module) -> None:
    """No class is a Manager, a Helper, a Service or a Util."""
    classes = [node.name for node in ast.walk(module.tree()) if isinstance(node, ast.ClassDef)]

    assert [name for name in classes if EMPTY_SUFFIX.search(name)] == []
