"""Every call of boto3 in the library, the pipeline and the functions fits botocore's own description of the service.

The source is walked for methods of the services that it makes clients of; each one must be called here by the code that
calls it there, through a client that checks arguments and answers.
"""

from __future__ import annotations

import ast
import io
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from staleproof.aws import SecretCredentials, describe
from staleproof.config import ParameterStore
from staleproof.errors import MalformedEventError
from staleproof.events import Change, Invalidate
from staleproof.events.invalidation import Invalidation
from staleproof.publishers import EventBridgePublisher, OutboxPublisher
from staleproof_pipeline import bootstrap
from staleproof_pipeline.cli import worker
from staleproof_pipeline.dead_letter import DeadLetter
from staleproof_pipeline.dead_letter_queue import DeadLetterQueue
from staleproof_pipeline.replication.eventbridge_link import EventBridgeLink
from staleproof_pipeline.rule_texts import ObjectText as RulesObject
from staleproof_pipeline.rule_texts import ParameterText
from staleproof_pipeline.settings import Settings as PipelineSettings
from tests.architecture.tree import RINGS, Module, modules
from tests.contract.publisher_stand import Bus, Table
from tests.unit.aws_shapes import Recording, operations, services
from tests.unit.elasticache_account import Account, datastore, group, user
from tests.unit.test_redriving_aws import exercised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAKERS = {"client", "connect", "resource", "_client"}
"""What is called to make a client, with the service's name among its arguments."""


class Site(NamedTuple):
    """A method of a service where the source names it."""

    service: str
    method: str
    place: str
    arguments: frozenset[str] | None


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def used_services() -> set[str]:
    """Every service that the source makes a client of: `client("ssm")`, `partial(_client, "sqs", region)`."""
    found: set[str] = set()
    for module in modules(*RINGS):
        for call in (node for node in ast.walk(module.tree()) if isinstance(node, ast.Call)):
            names = {name_of(call.func), *(name_of(each) for each in call.args)}
            if names & MAKERS:
                found |= services() & {each.value for each in call.args if isinstance(each, ast.Constant)}
    return found


def sites(module: Module, used: set[str]) -> Iterator[Site]:
    """Every method of *used* services in a module: called with the API's own names, or taken from a client."""
    tree = module.tree()
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in (each for each in ast.walk(tree) if isinstance(each, ast.Attribute)):
        call = calls.get(id(node))
        named = frozenset(each.arg for each in call.keywords if each.arg) if call else None
        api = bool(named) and all(each[0].isupper() for each in named or ())
        if not api and "client" not in name_of(node.value).lower():
            continue
        for service in used:
            if node.attr in operations(service):
                yield Site(service, node.attr, f"{module.name}:{node.lineno}", named)


USED = used_services()
SITES = [site for module in modules(*RINGS) for site in sites(module, USED)]


def test_the_walk_finds_what_is_there() -> None:
    """The services and methods that are known to be used are found; a walk that finds nothing proves nothing."""
    assert {"ssm", "elasticache", "secretsmanager", "sqs", "events"} <= USED
    assert {"get_parameters_by_path", "describe_users", "get_secret_value", "put_events"} <= {
        site.method for site in SITES
    }


@pytest.mark.parametrize("site", [site for site in SITES if site.arguments], ids=lambda site: site.place)
def test_arguments_are_the_operations_own(site: Site) -> None:
    """No call names an argument that its operation does not have."""
    shape = operations(site.service)[site.method].input_shape
    assert shape is not None
    assert (site.arguments or frozenset()) - shape.members.keys() == set()


# --- each of them, called by our code ----------------------------------------------------------------------


def parameters() -> Recording:
    held = [{"Name": "/shop/ttl", "Type": "String", "Value": "1m"}]
    pages = [{"Parameters": held, "NextToken": "more"}, {"Parameters": held}]
    client = Recording("ssm", {"get_parameters_by_path": lambda **_: pages.pop(0)})
    ParameterStore(lambda: client).read("/shop")
    return client


def secret() -> Recording:
    client = Recording("secretsmanager", {"get_secret_value": lambda **_: {"SecretString": "hush"}})
    SecretCredentials("prod/cache", connect=lambda _: client).get_credentials()
    return client


def discovery() -> Recording:
    info = {"GlobalReplicationGroupId": "ldgnf-world", "GlobalReplicationGroupMemberRole": "SECONDARY"}
    held = group("shop", UserGroupIds=["g"], GlobalReplicationGroupInfo=info)
    users = [user(f"u{n}", "iam", "g") for n in range(3)]
    account = Account(held, datastore("ldgnf-moon"), datastore("ldgnf-world"), *users)
    describe("shop", client=account.client)
    return account.client


def letters() -> Recording:
    def answer(QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803 - as the API writes it
        done = [{"Id": each["Id"], "MessageId": "m", "MD5OfMessageBody": "x"} for each in Entries]
        return {"Successful": done, "Failed": []}

    client = Recording("sqs", {"send_message_batch": answer})
    error = MalformedEventError("eventName: 'UPSERT' is not one of INSERT")
    letter = DeadLetter.about({"a": 1}, error, source="dynamodb", rules="0" * 16, region="eu-west-1", at_ms=1)
    assert DeadLetterQueue(lambda: client, "https://queue").store([letter]) == [None]
    return client


def events() -> Recording:
    def answer(Entries: list[Any]) -> Any:  # noqa: N803
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(at)} for at in range(len(Entries))]}

    client = Recording("events", {"put_events": answer})
    record = Invalidation(id="i", origin="eu-west-1", namespace="shop", tags=("a",), at_ms=1)
    assert EventBridgeLink(lambda: client, "bus", "eu-west-1").send([record]).delivered == [True]
    return client


def announcements() -> Recording:
    """An event with everything that it may have."""
    bus = Bus()
    publisher = EventBridgePublisher("shop", resources=["arn:aws:s3:::shop"], client=lambda: bus.client)
    trace = "Root=1-67891233-abcdef012345678912345678;Sampled=1"
    publisher.publish(Change.now("product", "modify", trace=trace), Invalidate.now("catalog"))
    return bus.client


def outbox() -> Recording:
    table = Table()
    OutboxPublisher("outbox", client=lambda: table.client).publish(Change.now("product", "modify"))
    return table.client


def rules_parameter() -> Recording:
    """Rules in the Parameter Store, and an earlier version of them."""
    told = {"Parameter": {"Name": "/rules", "Type": "String", "Value": "version: 1", "Version": 2}}
    client = Recording("ssm", {"get_parameter": lambda **_: told})
    text = ParameterText(lambda: client, "/rules")
    assert text.fetch("1")
    assert list(text.earlier())
    return client


def rules_object() -> Recording:
    """Rules in S3, and an earlier version of them."""

    def get(**_: Any) -> Any:
        return {"Body": io.BytesIO(b"version: 1"), "ETag": '"1"'}

    versions = [{"Key": "rules.yaml", "IsLatest": latest, "VersionId": "v"} for latest in (True, False)]
    client = Recording("s3", {"get_object": get, "list_object_versions": lambda **_: {"Versions": versions}})
    text = RulesObject(lambda: client, "bucket", "rules.yaml")
    assert text.fetch("")
    assert len(list(text.earlier())) == 1
    return client


def worker_table() -> Recording:
    """The stream of a table that a worker is told to read."""
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/Flights/stream/2013-02-08T00:00:00.000"
    client = Recording("dynamodb", {"describe_table": lambda **_: {"Table": {"LatestStreamArn": arn}}})
    settings = PipelineSettings(cache_url="memory://", namespace="flights", region="eu-west-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "client", lambda *_: client)
        assert worker._latest_stream(settings, "Flights") == arn
    return client


def redriven(service: str) -> Recording:
    """What redriving asks *service*, of queues, buckets and streams."""
    clients: list[Recording] = exercised()
    return next(each for each in clients if each.service == service)


EXERCISES: dict[str, Callable[[], Recording]] = {
    each.__name__: each
    for each in (
        parameters,
        secret,
        discovery,
        letters,
        events,
        announcements,
        outbox,
        rules_parameter,
        rules_object,
        worker_table,
    )
} | {f"redriven-{each}": partial(redriven, each) for each in ("sqs", "s3", "dynamodbstreams", "kinesis")}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_call_fits_its_operation(name: str) -> None:
    """What our code sends has the types, names and bounds that the service asks for, and reads what it answers."""
    assert EXERCISES[name]().calls


def test_every_method_is_exercised() -> None:
    """A method that somebody begins to call gets an exercise here."""
    clients = [each() for each in EXERCISES.values()]
    called = {(client.service, method) for client in clients for method, _ in client.calls}
    assert {(site.service, site.method) for site in SITES} - called == set()
