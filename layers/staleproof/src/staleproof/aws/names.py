"""Names of caches and users: what they may look like, and what an ARN says. Pure."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from staleproof.errors import ConfigurationError

Kind: TypeAlias = Literal["replicationgroup", "serverlesscache", "cluster", "globalreplicationgroup"]
"""What an ARN of ElastiCache calls a cache."""

KINDS: dict[str, Kind] = {
    "replicationgroup": "replicationgroup",
    "serverlesscache": "serverlesscache",
    "cluster": "cluster",
    "globalreplicationgroup": "globalreplicationgroup",
}

MAX_NAME = 63
_NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_USER = r"(?:default\.)?[a-z][a-z0-9-]*"
_REGION = r"[a-z]{2}(?:-[a-z]+)+-\d"
_ARN_PARTS = 7


class CacheName(NamedTuple):
    """What was asked for.

    Attributes:
        name: in lower case, as ElastiCache keeps it.
        kind: what it is, None if the name alone was given.
        region: where it is, None if the name alone was given.
    """

    name: str
    kind: Kind | None = None
    region: str | None = None


def cache_name(text: str) -> str:
    """Return the name of a cache in lower case: signatures cover it so.

    Raises:
        ConfigurationError: it is none.
    """
    name = text.lower()
    if len(name) > MAX_NAME or not re.fullmatch(_NAME, name):
        raise ConfigurationError(
            f"cache name {text!r}: write the name or ARN of a cache, not its endpoint: "
            "letters, digits and single hyphens, such as my-cache"
        )
    return name


def user_id(text: str) -> str:
    """Return the id of a user in lower case; for IAM it is the user's name as well.

    Raises:
        ConfigurationError: it is none.
    """
    user = text.lower()
    if not re.fullmatch(_USER, user):
        raise ConfigurationError(
            f"user {text!r}: write the id of an ElastiCache user, letters, digits and hyphens, such as iam-user-01"
        )
    return user


def region(text: str) -> str:
    """Return the name of an AWS region.

    Raises:
        ConfigurationError: it is none.
    """
    if not re.fullmatch(_REGION, text):
        raise ConfigurationError(f"region {text!r}: write the name of an AWS region, such as eu-west-1")
    return text


def parse(text: str) -> CacheName:
    """Return what *text*, the name or ARN of a cache, asks for.

    Raises:
        ConfigurationError: it is neither.
    """
    if not text.startswith("arn:"):
        return CacheName(cache_name(text))
    parts = text.split(":")
    kind = KINDS.get(parts[5]) if len(parts) == _ARN_PARTS and parts[2] == "elasticache" else None
    if kind is None:
        raise ConfigurationError(
            f"{text!r} is no ARN of a cache; write arn:aws:elasticache:REGION:ACCOUNT:KIND:NAME, "
            f"where KIND is one of {', '.join(KINDS)}"
        )
    # A global datastore belongs to no region.
    return CacheName(cache_name(parts[6]), kind, region(parts[3]) if parts[3] else None)
