"""Rules of our own about the deployable stack, beside what cfn-lint and SAM know."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from staleproof_pipeline.settings import PREFIX, Settings
from staleproof_pipeline.sources.eventbridge import DETAIL_TYPE, SOURCE_NAME

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as `{name: value}`."""


def _function(loader: Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {tag: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_scalar(node)}  # type: ignore[arg-type]


Loader.add_multi_constructor("!", _function)

TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader)  # noqa: S506 - a SafeLoader
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
GLOBALS: dict[str, Any] = TEMPLATE["Globals"]["Function"]


def of_type(kind: str) -> dict[str, Any]:
    """The properties of all resources of a type."""
    return {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == kind}


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    policies = [each["If"][1] if "If" in each else each for each in role["Policies"]]
    return [statement for each in policies for statement in each["PolicyDocument"]["Statement"]]


every_function = pytest.mark.parametrize("name", of_type("AWS::Serverless::Function"))


@every_function
def test_a_function_has_what_its_code_needs(name: str) -> None:
    """Its folder holds one `app.py`; it has a role, a log group with an end, and a service name of its own."""
    properties = RESOURCES[name]["Properties"]
    logs = RESOURCES[properties["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]

    assert (ROOT / properties["CodeUri"] / "app.py").is_file()
    assert properties["Role"] == {"GetAtt": f"{name}Role.Arn"}
    assert logs["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]


def test_every_function_is_traced_and_on_arm() -> None:
    """What holds for all of them is said once."""
    assert GLOBALS["Tracing"] == "Active"
    assert GLOBALS["Architectures"] == ["arm64"]
    assert GLOBALS["Runtime"] == "python3.13"


def test_the_environment_speaks_the_settings_language() -> None:
    """Every variable of ours is a setting, and everything that must be set is."""
    names = {name for name in GLOBALS["Environment"]["Variables"] if name.startswith(PREFIX)}
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    needed = {
        f"{PREFIX}{name}"
        for name in ("CACHE_URL", "NAMESPACE", "REGION", "RULES", "BUS", "PEERS", "DEAD_LETTER_QUEUE_URL")
    }

    assert names <= known
    assert needed <= names


@pytest.mark.parametrize("name", of_type("AWS::Lambda::EventSourceMapping"))
def test_a_stream_mapping_reports_failures_and_ends_somewhere(name: str) -> None:
    """Partial failures are reported, retries have an end, and what is given up lies in a bucket with its records."""
    mapping = RESOURCES[name]["Properties"]

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] == {"Ref": "StreamRetryAttempts"}
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"GetAtt": "UndeliveredBatches.Arn"}
    assert mapping["StartingPosition"] == "TRIM_HORIZON"


@pytest.mark.parametrize("name", of_type("AWS::SQS::Queue"))
def test_a_queue_is_encrypted_and_outlives_the_stack(name: str) -> None:
    """What could not be done is kept, for as long as SQS keeps anything, even if the stack is deleted."""
    queue = RESOURCES[name]

    assert queue["Properties"]["SqsManagedSseEnabled"] is True
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3_600
    assert queue["DeletionPolicy"] == queue["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", of_type("AWS::S3::Bucket"))
def test_a_bucket_is_encrypted_closed_and_forgets(name: str) -> None:
    """Records of a table lie there: encrypted, for nobody else, over TLS only, as long as queues keep theirs."""
    bucket = RESOURCES[name]["Properties"]
    (policy,) = [
        each for each in of_type("AWS::S3::BucketPolicy").values() if each["Bucket"] == {"Ref": name}
    ]
    (statement,) = policy["PolicyDocument"]["Statement"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]

    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 14)
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_only_this_stack_replicates() -> None:
    """Events of our source are denied to all but roles under the stack's path, and every role that puts is there."""
    (policy,) = of_type("AWS::Events::EventBusPolicy").values()
    statement = policy["Statement"]
    allowed = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]["Sub"]

    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "events:PutEvents",
    )
    assert statement["Condition"]["ForAnyValue:StringEquals"] == {"events:source": [SOURCE_NAME]}
    assert allowed.endswith(":role/staleproof/${Stage}/*")
    for role in of_type("AWS::IAM::Role").values():
        assert role["Path"] == {"Sub": "/staleproof/${Stage}/"}


@pytest.mark.parametrize("name", of_type("AWS::IAM::Role"))
def test_a_role_names_what_it_touches(name: str) -> None:
    """No action is a wildcard; no resource is, but for those services that know none."""
    for statement in statements(RESOURCES[name]["Properties"]):
        actions = statement["Action"]
        assert not any("*" in action for action in actions)
        if statement["Resource"] == "*":
            assert {action.partition(":")[0] for action in actions} <= {"ec2", "xray"}


def test_a_function_may_do_only_what_it_does() -> None:
    """Only the function of the table, and what redrives, reads a stream; who does not bury writes no dead letters."""
    actions = {
        name: {action for each in statements(role) for action in each["Action"]}
        for name, role in of_type("AWS::IAM::Role").items()
    }

    assert [name for name, those in actions.items() if "dynamodb:GetRecords" in those] == [
        "InvalidateFromTableRole",
        "RedriveRole",
    ]
    assert not {each for each in actions["RedriveRole"] if each.startswith(("lambda:", "iam:", "kafka"))}
    assert "sqs:SendMessage" not in actions["ReplicateRole"]
    assert actions["ReplicationRuleRole"] == {"events:PutEvents"}


# What AWS's own policies for these mappings hold (AWSLambdaMSKExecutionRole and its like), beside logs.
NEEDED = {
    "InvalidateFromKafka": {
        "kafka:DescribeClusterV2",
        "kafka:GetBootstrapBrokers",
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeVpcs",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
        "kafka-cluster:Connect",
        "kafka-cluster:DescribeClusterDynamicConfiguration",
        "kafka-cluster:DescribeTopic",
        "kafka-cluster:ReadData",
        "kafka-cluster:DescribeGroup",
        "kafka-cluster:AlterGroup",
    },
    "InvalidateFromTable": {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    },
    "InvalidateFromKinesis": {
        "kinesis:DescribeStream",
        "kinesis:DescribeStreamSummary",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
    },
    "InvalidateFromQueue": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
    "InvalidateDeferred": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_role_has_what_its_mapping_needs(name: str) -> None:
    """Lambda refuses to create a mapping whose function's role lacks one of them."""
    role = RESOURCES[f"{name}Role"]["Properties"]
    assert NEEDED[name] <= {action for each in statements(role) for action in each["Action"]}


def test_a_message_that_is_being_applied_is_nobody_elses() -> None:
    """A queue of ours hides its messages for six times the function's time, as AWS asks."""
    seconds = RESOURCES["InvalidateDeferred"]["Properties"].get("Timeout", GLOBALS["Timeout"])
    assert RESOURCES["DeferralQueue"]["Properties"]["VisibilityTimeout"] >= 6 * seconds


def test_own_invalidations_leave_and_foreign_ones_come_in() -> None:
    """The two rules share the events of our source out by origin, so that none goes round in a circle."""
    leaving = RESOURCES["ReplicationRule"]["Properties"]["EventPattern"]
    arriving = RESOURCES["InvalidateFromBus"]["Properties"]["Events"]["Arrived"]["Properties"]["Pattern"]

    for pattern in (leaving, arriving):
        assert (pattern["source"], pattern["detail-type"]) == ([SOURCE_NAME], [DETAIL_TYPE])
    assert leaving["detail"]["origin"] == [{"Ref": "AWS::Region"}]
    assert arriving["detail"]["origin"] == [{"anything-but": [{"Ref": "AWS::Region"}]}]


def test_every_delivery_of_a_rule_ends_somewhere() -> None:
    """Each target has retries with an end, and a dead letter."""
    targets = [*RESOURCES["ReplicationRule"]["Properties"]["Targets"]]
    targets += [
        each["Properties"] for each in RESOURCES["InvalidateFromBus"]["Properties"]["Events"].values()
    ]

    for target in targets:
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 185
        assert target["DeadLetterConfig"]["Arn"] == {"GetAtt": "UndeliveredQueue.Arn"}


def test_one_region_alone_has_no_replication() -> None:
    """Without a peer there is no rule, no role for it and no right to put events."""
    assert RESOURCES["ReplicationRule"]["Condition"] == "HasPeer"
    assert RESOURCES["ReplicationRuleRole"]["Condition"] == "HasPeer"
    puts = [each for role in of_type("AWS::IAM::Role").values() for each in role["Policies"] if "If" in each]
    assert {each["If"][0] for each in puts if each["If"][1]["PolicyName"] == "push"} == {"HasPeer"}
    assert {each["If"][0] for each in puts} <= {"HasPeer", "HasAnyTable", "HasKinesis"}


def test_stages_and_regions_pair_up() -> None:
    """Every stage is deployed in two regions that name each other as peers, under one stack name."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    stages: dict[str, list[tuple[str, str]]] = {}
    for name, environment in config.items():
        if name == "version":
            continue
        deploy = environment["deploy"]["parameters"]
        values = dict(pair.split("=") for pair in deploy["parameter_overrides"].split())
        stack = environment["global"]["parameters"]["stack_name"]
        stages.setdefault(stack, []).append((deploy["region"], values["PeerRegion"]))
        assert stack == f"staleproof-{values['Stage']}"
        assert set(values) <= set(TEMPLATE["Parameters"]), json.dumps(values)

    assert set(stages) == {"staleproof-dev", "staleproof-prod"}
    for pairs in stages.values():
        (first, second) = pairs
        assert first == second[::-1]
