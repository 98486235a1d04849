"""The functions as Lambda loads them: from their environment, with a real cache server."""

from __future__ import annotations

import importlib
import json
import secrets
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from local.execution_environment import LambdaContext
from staleproof.providers.redis import RedisProvider
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.dead_letter_queue import DeadLetterQueue
from staleproof_pipeline.replication.eventbridge_link import EventBridgeLink
from staleproof_pipeline.replication.links import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.events import Invalidation

RULES = """
version: 1
rules:
  - name: flight
    when: {table: Flights}
    tags: ["flight:{flight_id}", "board:{board}", "airline:{carrier}"]
  - name: rebooked
    when: {source: eventbridge, detail_type: Flight Rebooked}
    tags: ["flight:{flight_id}"]
"""


class Deployed(NamedTuple):
    """A function in its environment, and what is around it; the AWS services are replaced by memory."""

    module: Any
    provider: RedisProvider
    dead_letters: MemoryDeadLetters
    link: MemoryLink

    def invoke(self, event: Any) -> Any:
        """Call the handler as Lambda does: what it returns must be JSON."""
        context = LambdaContext("request-1", "arn:aws:lambda:eu-west-1:123456789012:function:f", 2.0**40)
        return json.loads(json.dumps(self.module.handler(event, context)))

    def journal(self) -> list[Invalidation]:
        """What was applied."""
        page = self.provider.journal("", 1_000)
        return [each for _, each in page.records if each is not None and each.origin]


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, valkey_url: str, fresh_namespace: str) -> pytest.MonkeyPatch:
    """The environment variables of a function."""
    for name, value in {
        "STALEPROOF_CACHE_URL": valkey_url,
        "STALEPROOF_NAMESPACE": fresh_namespace,
        "STALEPROOF_REGION": "eu-west-1",
        "STALEPROOF_RULES_TEXT": RULES,
        "STALEPROOF_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/dead",
        "STALEPROOF_BUS": "staleproof",
        "STALEPROOF_PEERS": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": secrets.token_hex(4),
        "POWERTOOLS_TRACE_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def deploy(
    environ: pytest.MonkeyPatch, valkey_url: str, fresh_namespace: str
) -> Iterator[Callable[[str], Deployed]]:
    """Load a function's module anew, as a cold start does."""
    letters, link = MemoryDeadLetters(), MemoryLink("eventbridge:staleproof")
    environ.setattr(DeadLetterQueue, "store", lambda _, each: letters.store(each))
    environ.setattr(EventBridgeLink, "send", lambda _, records: link.send(records))
    provider = RedisProvider.from_url(valkey_url, namespace=fresh_namespace)

    def loaded(name: str) -> Deployed:
        sys.modules.pop(f"functions.{name}.app", None)
        return Deployed(importlib.import_module(f"functions.{name}.app"), provider, letters, link)

    yield loaded
    provider.close()
