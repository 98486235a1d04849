"""Tokens are what ElastiCache expects: byte for byte those of AWS's own signer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import botocore.auth
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from staleproof import ConfigurationError
from staleproof.aws.iam import token
from staleproof.aws.signing import Keys

if TYPE_CHECKING:
    from typing import Any

NEW_YEAR = 1_704_067_200
VECTOR = (
    "my-cache/?Action=connect&User=iam-user-01&ResourceType=ServerlessCache&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIDEXAMPLE%2F20240101%2Fus-east-1%2Felasticache%2Faws4_request"
    "&X-Amz-Date=20240101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=9ddedd76d09b5afb7d8c49d94b72d009aaa22ac12ac505705a0e43e818675a1d"
)
KEYS = Keys("AKIDEXAMPLE", "SECRET")


def test_a_token_equals_the_vector() -> None:
    """For fixed keys and a fixed moment, the token of a serverless cache is the known one."""
    made = token("my-cache", "iam-user-01", KEYS, region="us-east-1", at=NEW_YEAR, serverless=True)
    assert made == VECTOR


def test_names_are_signed_in_lower_case() -> None:
    """ElastiCache keeps names in lower case, so whatever case they are given in, the token is the same."""
    made = token("My-Cache", "IAM-User-01", KEYS, region="us-east-1", at=NEW_YEAR, serverless=True)
    assert made == VECTOR


def of_botocore(cache: str, user: str, keys: Keys, region: str, at: int, *, serverless: bool) -> str:
    query = {"Action": "connect", "User": user} | ({"ResourceType": "ServerlessCache"} if serverless else {})
    request = AWSRequest("GET", f"https://{cache}/?{urlencode(query)}")
    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)
        credentials = Credentials(keys.access, keys.secret, keys.session or None)
        signer: Any = SigV4QueryAuth
        signer(credentials, "elasticache", region, expires=900).add_auth(request)
    return str(request.url).removeprefix("https://")


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,3}", fullmatch=True)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@settings(max_examples=150)
@given(
    cache=NAMES,
    user=NAMES,
    access=st.from_regex(r"[A-Z0-9]{16,20}", fullmatch=True),
    secret=SECRETS,
    session=st.one_of(st.just(""), SECRETS),
    region=st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1", "ap-southeast-2"]),
    at=st.integers(0, 4_102_444_800),
    serverless=st.booleans(),
)
def test_a_token_is_botocores(
    cache: str, user: str, access: str, secret: str, session: str, region: str, at: int, serverless: bool
) -> None:
    """Whatever keys, session token, names and moment: the same bytes as botocore's signer makes."""
    keys = Keys(access, secret, session)
    ours = token(cache, user, keys, region=region, at=at, serverless=serverless)
    assert ours == of_botocore(cache, user, keys, region, at, serverless=serverless)


@pytest.mark.parametrize(
    "name",
    ["", "1cache", "my--cache", "my-cache-", "my_cache", "master.my-cache.abc.cache.amazonaws.com", "x" * 64],
)
def test_impossible_names_are_told(name: str) -> None:
    """An endpoint or a typing error in the place of a name would be signed, and refused without a reason."""
    with pytest.raises(ConfigurationError, match="not its endpoint"):
        token(name, "iam-user-01", KEYS, region="us-east-1", at=NEW_YEAR)


@pytest.mark.parametrize("user", ["", "a b", "app:x", "-a", "default."])
def test_impossible_users_are_told(user: str) -> None:
    """The id of a user has letters, digits and hyphens."""
    with pytest.raises(ConfigurationError, match="id of an ElastiCache user"):
        token("my-cache", user, KEYS, region="us-east-1", at=NEW_YEAR)


def test_keys_show_no_secret() -> None:
    """Printed, formatted or within another object, keys show only whose they are."""
    keys = Keys("AKIDEXAMPLE", "hush", "hush-hush")
    assert "hush" not in f"{keys} {keys!r} {[keys]}"
    assert "AKIDEXAMPLE" in repr(keys)
