"""What every test may ask for: a real Valkey server of its own, and a namespace that no other test uses.

The server starts with the first test that asks and ends with the session. Tests share it and keep apart by
`fresh_namespace`; a test that stops, freezes or fills a server starts one for itself.

Hypothesis runs the same examples every time (profile `fixed`), so that a red run can be run again.
`HYPOTHESIS_PROFILE=explore` looks for new ones.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from local.supervisor import Supervisor
from local.valkey import Valkey
from staleproof.providers import trimming

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session", autouse=True)
def _no_chance() -> Iterator[None]:
    """Providers trim their journals by chance, and tables fit who looks; a test's steps are the same every time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)  # workers that run tests side by side have it of their master
        patch.setattr(trimming, "by_chance", lambda: False)
        yield


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """The session's own Valkey server, on the loopback, without persistence; it ends with this process in any case."""
    with Supervisor() as owner:
        server = Valkey(owner, "valkey-tests")
        server.start()
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey: Valkey) -> str:
    """The address of the session's server, as `redis://127.0.0.1:port/0`."""
    return valkey.url


@pytest.fixture
def fresh_namespace() -> str:
    """A namespace that nothing else has used."""
    return f"t-{secrets.token_hex(8)}"
