"""The two faces, sync and async, are one interface."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

PAIRS = [
    ("staleproof.ports", "Provider", "AsyncProvider"),
    ("staleproof.ports.operations", "Operator", "AsyncOperator"),
    ("staleproof.cache.operations.limiters", "RateLimiter", "AsyncRateLimiter"),
    ("staleproof.cache.operations.locks", "Lock", "AsyncLock"),
    ("staleproof.cache.operations.latest", "Latest", "AsyncLatest"),
    ("staleproof.cache.operations.blooms", "Bloom", "AsyncBloom"),
    ("staleproof.cache.operations.json_handles", "JsonDocument", "AsyncJsonDocument"),
    ("staleproof.providers.redis", "RedisProvider", "AsyncRedisProvider"),
    ("staleproof", "Cache", "AsyncCache"),
]


def load(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def shape(face: Any) -> dict[str, list[tuple[str, Any, Any]]]:
    """The public names of *face*: of a callable its parameters by name, kind and default, of the rest nothing."""
    members = {
        name: value for name, value in inspect.getmembers(face) if name[0] != "_" or name == "__init__"
    }
    return {name: parameters(value) for name, value in members.items()}


def without(members: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: taken for name, taken in members.items() if name not in names}


def parameters(member: Any) -> list[tuple[str, Any, Any]]:
    if not callable(member):
        return []
    found = inspect.signature(member).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


@pytest.mark.parametrize(("module", "sync_name", "async_name"), PAIRS, ids=lambda part: part)
def test_both_faces_have_the_same_methods(module: str, sync_name: str, async_name: str) -> None:
    """A sync class and its async twin have the same public names, with the same parameters and defaults.

    Replication links follow the journal from the pipeline, which is sync only: `Follower` needs no twin.
    """
    links = set(shape(load("staleproof.ports", "Follower"))) - {"__init__"}
    sync, twin = shape(load(module, sync_name)), shape(load(module, async_name))
    one_sided = links - (set(sync) & set(twin))

    assert without(twin, one_sided) == without(sync, one_sided)


@pytest.mark.parametrize(
    ("module", "sync_name", "port"),
    [
        ("staleproof.providers.redis", "RedisProvider", "Provider"),
        ("staleproof.providers.redis", "AsyncRedisProvider", "AsyncProvider"),
        ("staleproof.providers.memory", "MemoryProvider", "Provider"),
        ("staleproof.providers.async_memory", "AsyncMemoryProvider", "AsyncProvider"),
        ("staleproof.providers.tiered", "TieredProvider", "Provider"),
        ("staleproof.providers.async_tiered", "AsyncTieredProvider", "AsyncProvider"),
        ("staleproof.providers.redis", "RedisProvider", "Follower"),
        ("staleproof.providers.memory", "MemoryProvider", "Follower"),
    ],
)
def test_a_provider_keeps_to_its_port(module: str, sync_name: str, port: str) -> None:
    """A provider's methods take exactly what the port's do."""
    asked, given = shape(load("staleproof.ports", port)), shape(load(module, sync_name))
    methods = {name: taken for name, taken in asked.items() if name != "__init__"}

    assert {name: given.get(name) for name in methods} == methods
