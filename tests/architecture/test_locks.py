"""A lock pins everything that its requirements ask for, by hash, without asking the network."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.tree import ROOT, files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
LOCKS = [path for path in files() if path.suffix == ".lock"]
ENVIRONMENT = ROOT / "requirements" / "dev.lock"
LAYERS = [ROOT / "layers" / "staleproof" / "requirements.lock", ROOT / "shared" / "requirements.lock"]
PACKAGES = ["layers/staleproof/pyproject.toml", "shared/pyproject.toml"]
OWN = {"staleproof", "staleproof-pipeline"}
FOR_PEOPLE = {"cli", "testing", "kafka", "aws-async"}
"""Extras that no function imports: for people, and for producers and workers that run for long."""

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())


def pins(lock: Path) -> dict[str, Version]:
    return {canonicalize_name(name): Version(version) for name, version in PIN.findall(lock.read_text())}


def asked(path: Path) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def described(package: str, *, without: Iterable[str] = ()) -> list[Requirement]:
    project = tomllib.loads((ROOT / package).read_text())["project"]
    extras = project.get("optional-dependencies", {})
    asked_for = [each for name, extra in extras.items() if name not in without for each in extra]
    return [Requirement(text) for text in [*project["dependencies"], *asked_for]]


def unmet(requirements: list[Requirement], *locks: Path) -> list[str]:
    held = {name: version for lock in locks for name, version in pins(lock).items()}
    return [
        str(each)
        for each in requirements
        if canonicalize_name(each.name) not in OWN
        and (
            (version := held.get(canonicalize_name(each.name))) is None
            or not each.specifier.contains(version, prereleases=True)
        )
    ]


@every_lock
def test_a_lock_holds_what_its_requirements_ask_for(lock: Path) -> None:
    """Every line of a `.in` file is pinned in its lock, at a version that it allows; `make lock` mends it."""
    assert unmet(asked(lock.with_suffix(".in")), lock) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_lock_of_the_environment_holds_what_the_packages_need(package: str) -> None:
    """What a package of ours declares is pinned in the environment's lock, since pip installs it with --no-deps."""
    assert unmet(described(package), ENVIRONMENT) == []


def test_the_layers_carry_what_the_packages_need() -> None:
    """What the packages declare for functions lies in one of the two layers, since both are mounted together."""
    needed = [each for package in PACKAGES for each in described(package, without=FOR_PEOPLE)]

    assert unmet(needed, *LAYERS) == []


@pytest.mark.parametrize("lock", LAYERS, ids=lambda path: path.parent.name)
def test_a_layer_carries_the_versions_that_were_tested(lock: Path) -> None:
    """Every version in a layer is the one in the environment that the tests run in."""
    tested = pins(ENVIRONMENT)

    assert {name: version for name, version in pins(lock).items() if tested.get(name) != version} == {}


@every_lock
def test_every_pin_has_a_hash(lock: Path) -> None:
    """No package can be installed whose bytes are not the ones that were reviewed."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text().strip())

    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
