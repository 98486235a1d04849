"""MSK by IAM: the client library's options for a cluster that asks who somebody is to AWS, instead of a password.

The token is a signed request that nobody ever sends, as in `staleproof.aws.iam`, in base64. It opens connections for 15
minutes. Each connection gets one of its own, by the keys that hold then: signing costs less than a millisecond. How
long a connection stays the broker says; before that, the client library authenticates it anew.

Source: https://github.com/aws/aws-msk-iam-sasl-signer-python, and the guide to IAM access control of Amazon MSK.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from staleproof.aws import names
from staleproof.aws.clients import default_region
from staleproof.aws.identity import AmbientIdentity
from staleproof.aws.signing import presigned
from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import CacheError, ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from staleproof.aws.identity import Identity
    from staleproof.aws.signing import Keys
    from staleproof.clock import Clock

SERVICE = "kafka-cluster"
TOKEN_LIFETIME = 900
AGENT = "staleproof"
IAM, REGION = "iam", "region"
"""Our options, which the client library does not know."""

_BROKER = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?::\d+)?\Z")


def token(keys: Keys, *, region: str, at: float) -> str:
    """Return the token that opens connections to clusters of *region* from *at* on, for 15 minutes.

    Args:
        keys: who signs.
        region: where the cluster is.
        at: the moment of signing, in seconds UTC since 1970.
    """
    query = {"Action": f"{SERVICE}:Connect"}
    host = f"kafka.{region}.amazonaws.com"
    signed = presigned(host, query, keys, service=SERVICE, region=region, at=at, lifetime=TOKEN_LIFETIME)
    # The agent stands behind the signature, which does not cover it.
    return urlsafe_b64encode(f"https://{signed}&User-Agent={AGENT}".encode()).decode().rstrip("=")


def resolved(
    servers: Sequence[str],
    given: Mapping[str, Any],
    *,
    identity: Identity | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> dict[str, Any]:
    """Return the options *given* with what `iam` and `region` among them mean to the client library.

    Args:
        servers: `host:port` of some brokers; their names tell the region.
        given: options of the client library, and `iam=True`, and `region` where nothing else tells it.
        identity: who signs; what the surroundings give by default.
        clock: the source of time.

    Raises:
        ConfigurationError: `iam` is no boolean or stands beside other ways to authenticate, no region is known, or the
            extra is not installed.
    """
    options = dict(given)
    wanted = options.pop(IAM, False)
    if not isinstance(wanted, bool):
        raise ConfigurationError(f"iam={wanted!r:.40} is neither true nor false; write iam=true")
    if not wanted:
        return options
    given_region = options.pop(REGION, None)
    beside = sorted(name for name in options if name == "security_protocol" or name.startswith("sasl_"))
    if beside:
        raise ConfigurationError(f"{beside[0]} stands beside iam, which sets it; leave one of them out")
    region = _region(servers, given_region)
    return {
        **options,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": _provider(identity or AmbientIdentity(), region, clock),
    }


def _region(servers: Sequence[str], given: Any) -> str:
    found = (_BROKER.search(each) for each in servers)
    region = given or next((each[1] for each in found if each), None) or default_region()
    if region is None:
        raise ConfigurationError("IAM for Kafka: the region is unknown; set AWS_REGION, or add region")
    return names.region(str(region))


def _provider(identity: Identity, region: str, clock: Clock) -> Any:
    try:
        from kafka import errors  # noqa: PLC0415 - an extra
        from kafka.net.sasl.oauth import AbstractTokenProvider  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError("IAM for Kafka needs kafka-python; install staleproof[kafka]") from error

    base: Any = AbstractTokenProvider

    class Tokens(base):  # type: ignore[misc, unused-ignore]
        """Makes a token whenever a connection is authenticated, in the client library's own thread."""

        def __repr__(self) -> str:
            return f"Tokens(region={region!r})"

        def token(self) -> str:
            try:
                return token(identity.keys(), region=region, at=clock.wall())
            except ProviderUnavailableError as error:
                raise errors.KafkaConnectionError(str(error)) from error  # it tries again
            except CacheError as error:
                raise errors.SaslAuthenticationFailedError(str(error)) from error

    return Tokens()
