"""Clients of AWS services that try once, for both faces; `staleproof.publishers.delivery` is what tries again.

Where they lead is said, in this order, by `endpoint_url`, by AWS's own variables (`AWS_ENDPOINT_URL`,
`AWS_ENDPOINT_URL_EVENTBRIDGE`), and by `LOCALSTACK_HOST` and `EDGE_PORT` where the package localstack-client is
installed; else it is the service in the region.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from staleproof.aws.clients import default_region
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 5.0
MAX_CONNECTIONS = 32
_IDS = {"events": "EVENTBRIDGE"}
"""Services whose id, which names their variable, is not the name of their client."""

LOCALSTACK = ("LOCALSTACK_HOST", "EDGE_PORT")
_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def connect(service: str, region: str | None = None, endpoint_url: str | None = None) -> Any:
    """Return a boto3 client of *service*.

    Raises:
        ConfigurationError: boto3 is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - it costs more than the whole library, and few starts need it
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"publishing to {service} needs boto3; install staleproof[aws]") from error
    session: Any = boto3.session.Session()  # of our own: the default one is not thread-safe
    try:
        return session.client(service, config=Config(**_limits()), **_where(service, region, endpoint_url))
    except (BotoCoreError, ValueError) as error:
        raise _unconnected(service, error) from error


@asynccontextmanager
async def connect_async(
    service: str, region: str | None = None, endpoint_url: str | None = None
) -> AsyncIterator[Any]:
    """Give an aiobotocore client of *service* when it is entered; raises as `connect` does."""
    try:
        from aiobotocore.config import AioConfig  # noqa: PLC0415
        from aiobotocore.session import AioSession  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"publishing to {service} from asyncio needs aiobotocore; install staleproof[aws-async]"
        ) from error
    where = _where(service, region, endpoint_url)
    context: Any = AioSession().create_client(service, config=AioConfig(**_limits()), **where)
    try:
        client = await context.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise _unconnected(service, error) from error
    try:
        yield client
    finally:
        await context.__aexit__(None, None, None)


def _limits() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "max_pool_connections": MAX_CONNECTIONS,
        "retries": {"mode": "standard", "total_max_attempts": 1},
    }


def _where(service: str, region: str | None, endpoint_url: str | None) -> dict[str, Any]:
    region = region or default_region()
    if endpoint_url is not None:
        return {"region_name": region, "endpoint_url": endpoint_url}
    local = localstack(service)
    if local is None:
        return {"region_name": region}
    credentials = {} if os.environ.get("AWS_ACCESS_KEY_ID") else _CREDENTIALS  # LocalStack checks none
    return {"region_name": region or "us-east-1", "endpoint_url": local, **credentials}


def localstack(service: str) -> str | None:
    """Return where a LocalStack has *service*, None if there is none, or AWS's own variables say where to go."""
    named = any(os.environ.get(name) for name in LOCALSTACK)
    own = ("AWS_ENDPOINT_URL", f"AWS_ENDPOINT_URL_{_IDS.get(service, service.upper())}")
    if not named or any(os.environ.get(name) for name in own):
        return None
    try:
        from localstack_client.config import get_service_endpoint  # noqa: PLC0415 - a tool of whoever has LocalStack
    except ModuleNotFoundError:
        return None
    host, _, port = os.environ.get("LOCALSTACK_HOST", "").partition(":")
    port = port or os.environ.get("EDGE_PORT", "") or "4566"
    endpoint: str | None = get_service_endpoint(service, localstack_host=f"{host or 'localhost'}:{port}")
    return endpoint


def _unconnected(service: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{service}: {error}; give a region, or set AWS_REGION, and check the endpoint")
