"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.architecture.tree import Module, modules

LIBRARIES = ("layers/staleproof/src/staleproof", "shared/src/staleproof_pipeline")
WITH_EXAMPLES = [module for module in modules(*LIBRARIES) if ">>> " in module.path.read_text()]


@pytest.mark.parametrize("module", WITH_EXAMPLES, ids=lambda module: module.name)
def test_docstring_examples_run(module: Module) -> None:
    """Every example of a docstring prints what it says."""
    parts = module.path.relative_to(module.root.parent).with_suffix("").parts
    imported = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    results = doctest.testmod(imported, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)

    assert results.attempted
    assert results.failed == 0
