"""ElastiCache as AWS knows it: which cache a name means, and who a process is to it.

>>> from staleproof.aws import describe

Names are resolved at first use. Only discovery and secrets need boto3, from the extra `aws`; a token for IAM needs
nothing beside the library, unless the process gets its AWS keys from elsewhere than the environment.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.aws.address import Address, parse
    from staleproof.aws.choosing import address_of
    from staleproof.aws.composition import async_provider, connections, locate, provider
    from staleproof.aws.description import CacheDescription
    from staleproof.aws.discovery import describe
    from staleproof.aws.iam import IamCredentials
    from staleproof.aws.secret import SecretCredentials

_HOMES = {
    "Address": "address",
    "CacheDescription": "description",
    "IamCredentials": "iam",
    "SecretCredentials": "secret",
    "address_of": "choosing",
    "async_provider": "composition",
    "connections": "composition",
    "describe": "discovery",
    "locate": "composition",
    "parse": "address",
    "provider": "composition",
}

__all__ = [
    "Address",
    "CacheDescription",
    "IamCredentials",
    "SecretCredentials",
    "address_of",
    "async_provider",
    "connections",
    "describe",
    "locate",
    "parse",
    "provider",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use, like everything here

    value: object = getattr(import_module(f"staleproof.aws.{home}"), name)
    globals()[name] = value
    return value
