"""MSK by IAM: tokens are those of AWS's own signer, and reach the client library; no cluster was asked."""

from __future__ import annotations

import datetime as dt
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import kafka
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from kafka import errors
from kafka.net.sasl.oauth import SaslMechanismOAuth

from staleproof import publishers
from staleproof.aws import kafka_iam
from staleproof.aws.signing import Keys
from staleproof.clock import ManualClock
from staleproof.errors import CacheError, ConfigurationError, ProviderUnavailableError
from staleproof.events import Change
from staleproof_pipeline.consuming.kafka_client import consumer_of

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YEAR = 1_704_067_200
KEYS = Keys("AKIDEXAMPLE", "SECRET/+x", "session==")
BROKER = "b-1.shop.a1b2c3.c2.kafka.eu-west-1.amazonaws.com:9098"
SERVERLESS = "boot-a1b2.c1.kafka-serverless.us-east-1.amazonaws.com:9098"
NOBODY = "127.0.0.1:1"


class Someone:
    """An identity whose keys rotate, or which cannot be told."""

    def __init__(self, *told: Keys | CacheError) -> None:
        self._told = list(told)

    def keys(self) -> Keys:
        """See `Identity.keys`."""
        found = self._told.pop(0)
        if isinstance(found, CacheError):
            raise found
        return found

    def forget(self) -> None:
        """See `Identity.forget`."""


def opened(token: str) -> str:
    """The address in a token."""
    return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()


def of_botocore(keys: Keys, region: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address as AWS's library signs it."""
    request = AWSRequest(
        "GET", f"https://kafka.{region}.amazonaws.com/", params={"Action": "kafka-cluster:Connect"}
    )
    moment = dt.datetime.fromtimestamp(NEW_YEAR, dt.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)
    signer: Any = SigV4QueryAuth
    credentials = Credentials(keys.access, keys.secret, keys.session or None)
    signer(credentials, "kafka-cluster", region, expires=900).add_auth(request)
    return str(request.url)


@pytest.mark.parametrize("keys", [KEYS, KEYS._replace(session="")], ids=["temporary", "permanent"])
def test_a_token_is_what_aws_own_signer_makes(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same query, the same signature, and behind it who it comes from; in base64 of URLs, without padding."""
    made = kafka_iam.token(keys, region="eu-west-1", at=NEW_YEAR)

    assert "=" not in made
    theirs, ours = urlsplit(of_botocore(keys, "eu-west-1", monkeypatch)), urlsplit(opened(made))
    assert (ours.scheme, ours.netloc, ours.path) == (theirs.scheme, theirs.netloc, theirs.path)
    assert sorted(parse_qsl(ours.query)) == sorted([*parse_qsl(theirs.query), ("User-Agent", "staleproof")])


def resolved(server: str = BROKER, *told: Keys | CacheError, **given: Any) -> dict[str, Any]:
    """The options of a client that begins at *server*."""
    clock = ManualClock()
    return kafka_iam.resolved([server], {"iam": True, **given}, identity=Someone(*told), clock=clock)


@pytest.mark.parametrize(
    ("server", "given", "region"),
    [
        (BROKER, {}, "eu-west-1"),
        (SERVERLESS, {}, "us-east-1"),
        ("b-1.x.kafka.cn-north-1.amazonaws.com.cn:9098", {}, "cn-north-1"),
        (BROKER, {"region": "eu-north-1"}, "eu-north-1"),
        ("broker.internal:9098", {}, "ap-south-1"),
    ],
)
def test_brokers_tell_the_region(
    server: str, given: dict[str, Any], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is given; and where they do not, the environment does."""
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    options = resolved(server, KEYS, client_id="c", **given)

    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert options["client_id"] == "c"
    assert not options.keys() & {"iam", "region"}
    assert f"%2F{region}%2Fkafka-cluster%2F" in opened(options["sasl_oauth_token_provider"].token())


def test_each_connection_signs_with_the_keys_of_its_moment() -> None:
    """Keys rotate; what the client library sends is the bearer's token, and nothing of ours shows a secret."""
    other = Keys("AKIDOTHER", "SECRET2")
    provider = resolved(BROKER, KEYS, other)["sasl_oauth_token_provider"]

    first = SaslMechanismOAuth(sasl_oauth_token_provider=provider).auth_bytes().decode()
    assert first.startswith("n,,\x01auth=Bearer ")
    assert "AKIDEXAMPLE" in opened(first.removeprefix("n,,\x01auth=Bearer ").rstrip("\x01"))
    assert "AKIDOTHER" in opened(provider.token())
    assert repr(provider) == "Tokens(region='eu-west-1')"


def test_who_cannot_be_told_is_an_error_of_the_client_library() -> None:
    """It is raised in that one's own thread: what passes is tried again, and what does not is a refusal."""
    provider = resolved(BROKER, ProviderUnavailableError("away"), ConfigurationError("none"))[
        "sasl_oauth_token_provider"
    ]

    with pytest.raises(errors.KafkaConnectionError, match="away"):
        provider.token()
    with pytest.raises(errors.SaslAuthenticationFailedError, match="none"):
        provider.token()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"iam": "my-cluster"}, "iam='my-cluster' is neither true nor false; write iam=true"),
        ({"iam": True, "sasl_mechanism": "PLAIN"}, "sasl_mechanism stands beside iam"),
        ({"iam": True, "security_protocol": "PLAINTEXT"}, "security_protocol stands beside iam"),
        ({"iam": True, "region": "Mars"}, "region 'Mars': write the name of an AWS region"),
        ({"iam": True}, "the region is unknown; set AWS_REGION"),
    ],
)
def test_what_is_wrong_is_told(given: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is connected, alike by worker and publisher."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(ConfigurationError, match=told):
        consumer_of([NOBODY], "g", options=given)
    with pytest.raises(ConfigurationError, match=told):
        publishers.of(f"kafka://{NOBODY}/t", **given)


def test_without_iam_nothing_changes() -> None:
    """Options pass as they were; `region` alone is one that nobody knows."""
    given = {"iam": False, "sasl_mechanism": "AWS_MSK_IAM"}
    assert kafka_iam.resolved([BROKER], given) == {"sasl_mechanism": "AWS_MSK_IAM"}
    with pytest.raises(ConfigurationError, match="'region' is no option"):
        publishers.of(f"kafka://{NOBODY}/t?region=eu-west-1")


@pytest.mark.parametrize("who", ["publisher", "worker"])
def test_it_reaches_the_client_library(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a publisher, and the file of options of a worker."""
    seen: dict[str, Any] = {}

    def client(**options: Any) -> Any:
        seen.update(options)
        raise ValueError("enough")

    monkeypatch.setattr(kafka, "KafkaConsumer", client)
    tries: dict[str, Callable[[], Any]] = {
        "publisher": lambda: publishers.of(f"kafka://{BROKER}/t?iam=true", producer=client).send(
            [Change.now("product", "modify", keys={"id": 1})]
        ),
        "worker": lambda: consumer_of([BROKER], "g", options={"iam": True}),
    }
    with pytest.raises(ConfigurationError, match="enough"):
        tries[who]()

    assert (seen["security_protocol"], seen["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert repr(seen["sasl_oauth_token_provider"]) == "Tokens(region='eu-west-1')"
