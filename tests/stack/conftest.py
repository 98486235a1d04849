"""Servers for the tests of the local stack: started once a module, emptied for every test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local.emulator import Emulator
from local.supervisor import Supervisor
from local.valkey import Valkey
from tests.stack.feed import Feed


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as owner:
        yield owner


@pytest.fixture(scope="module")
def cache_server(supervisor: Supervisor) -> Valkey:
    server = Valkey(supervisor, "valkey")
    server.start()
    return server


@pytest.fixture
def recorded(cache_server: Valkey) -> Iterator[Any]:
    """The server that the recording functions write to, empty."""
    with Redis.from_url(cache_server.url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def emulator(supervisor: Supervisor, cache_server: Valkey) -> Emulator:
    server = Emulator(supervisor, cache_server.port)
    server.start()
    return server


@pytest.fixture
def feed(emulator: Emulator, cache_server: Valkey, recorded: Any, tmp_path: Path) -> Iterator[Feed]:
    made = Feed(emulator, cache_server, recorded, tmp_path)
    yield made
    made.close()
