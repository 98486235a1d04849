"""The layers carry what was tested: the same versions as the project's own environment, pinned by hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
FOLDERS = {"layers/staleproof": {"redis", "lz4", "zstd", "memcached"}, "shared": set[str]()}
"""A layer's folder, and the extras of its package that it carries."""


def pins(path: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(path.read_text())}


def asked(path: Path) -> set[str]:
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {str(canonicalize_name(Requirement(line).name)) for line in lines}


def declared(folder: str, extras: set[str]) -> set[str]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"]]
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return {str(canonicalize_name(Requirement(text).name)) for text in texts} - {"staleproof"}


@pytest.mark.parametrize(("folder", "extras"), FOLDERS.items())
def test_a_layer_asks_for_what_its_package_declares(folder: str, extras: set[str]) -> None:
    """Nothing that the package needs is forgotten, nothing more is carried."""
    assert asked(ROOT / folder / "requirements.in") == declared(folder, extras)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock"])
def test_a_layer_holds_the_versions_that_were_tested(folder: str, lock: str) -> None:
    """Every pin of a layer is the environment's pin of the same package; `make lock` mends it."""
    tested = pins(ROOT / "requirements" / "dev.lock")
    held = pins(ROOT / folder / lock)

    assert held
    assert asked((ROOT / folder / lock).with_suffix(".in")) <= set(held)
    assert {name: version for name, version in held.items() if tested.get(name) != version} == {}


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock"])
def test_every_pin_of_a_layer_has_a_hash(folder: str, lock: str) -> None:
    """No package can enter a layer whose bytes are not the ones that were reviewed."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / folder / lock).read_text().strip())

    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_no_package_is_carried_by_two_layers() -> None:
    """What the library's layer has, the pipeline's does not repeat."""
    library, pipeline = (pins(ROOT / folder / "requirements.lock") for folder in FOLDERS)

    assert set(library) & set(pipeline) == set()
