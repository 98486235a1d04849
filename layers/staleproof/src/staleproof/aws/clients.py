"""Clients of AWS services, and what they raise in our words. The border: nothing of botocore goes further up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from staleproof.errors import CacheError, ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 2, 5, 3

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

RETRY = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "InternalServiceErrorException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "IDPCommunicationError",
    }
)


def client(service: str, region: str | None = None, *, otherwise: str = "") -> Any:
    """Return a boto3 client of *service*, with short time-outs, in *region* or the one that AWS's own settings name.

    Args:
        service: as boto3 names it.
        region: where it is.
        otherwise: what who has no boto3 may do instead of installing it.

    Raises:
        ConfigurationError: boto3 is not installed, or no region is known.
    """
    try:
        import boto3  # noqa: PLC0415 - it costs more than the whole library, and few starts need it
        from botocore.config import Config  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{service} needs boto3; install staleproof[aws]{otherwise}") from error
    limits = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    with translated(service):
        # A session of its own: the default one is shared with the application, and is not thread-safe.
        session: Any = boto3.session.Session()
        return session.client(service, region_name=region or default_region(), config=limits)


def default_region() -> str | None:
    """Return the region that the environment names, None if only AWS's own files can; botocore ignores the first."""
    import os  # noqa: PLC0415 - read at each call: tests and wrappers set it

    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


@contextmanager
def translated(what: str, remedy: str = "") -> Iterator[None]:
    """Translate what boto3 raises; *what* names the thing that was asked for, *remedy* what mends a refusal.

    Raises:
        ConfigurationError: somebody must mend it: permissions, names, credentials.
        ProviderUnavailableError: retry.
    """
    try:
        yield
    except Exception as error:
        told = failure(error, what, remedy)
        if told is None:
            raise
        raise told from error


def failure(error: Exception, what: str, remedy: str = "") -> CacheError | None:
    """Return what *error* is to a caller; None if it is none of AWS's."""
    if isinstance(error, CacheError) or not type(error).__module__.startswith(("boto", "s3transfer")):
        return None
    from botocore import exceptions  # noqa: PLC0415 - whoever raised it has it

    if isinstance(error, exceptions.ClientError):
        return _refusal(error, what, remedy)
    passing = (exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError)
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError, *passing)):
        return ProviderUnavailableError(f"{what}: {error}; retry, or check the way to the service")
    return ConfigurationError(f"{what}: {error}; check the function's role, and AWS_REGION")


def code(error: Exception) -> str:
    """Return the code of a service's refusal, "" if *error* is none."""
    response: Any = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _refusal(error: Any, what: str, remedy: str) -> CacheError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code(error) in RETRY or status >= 500:  # noqa: PLR2004 - a server's own failure
        return ProviderUnavailableError(f"{what}: {code(error)}; retry")
    if remedy:
        return ConfigurationError(f"{what}: {error}; {remedy}")
    if code(error) in DENIED:
        asked = getattr(error, "operation_name", "the operation")
        return ConfigurationError(
            f"{what}: access is denied; allow {asked} to the role of this process ({error})"
        )
    return ConfigurationError(f"{what}: {error}; correct the name, or the region")
