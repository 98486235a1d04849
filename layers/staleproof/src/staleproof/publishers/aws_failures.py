"""What a request to AWS meets, as verdicts: what passes, what has to be mended, and whose fault it is."""

from __future__ import annotations

import re
from typing import Any

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof.publishers.delivery import Failure, Verdict

PASSING = frozenset(
    {
        "InternalFailure",
        "InternalException",
        "InternalError",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
"""Codes of requests, and of entries, that are worth sending again."""

ONE = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException", "RequestEntityTooLarge"})
"""Codes of requests that are refused for what they hold."""

SERVER_ERROR = 500
_USER = re.compile(r"//[^/\s]*@")
"""User and password in the URL of an endpoint, which errors repeat."""


def verdict(code: str, told: str, where: str) -> Verdict:
    """Return the verdict on one entry that was refused with *code*."""
    if code in PASSING:
        return Verdict(
            error=ProviderUnavailableError(f"{where}: {code} {told}; retry".replace("  ", " ")), again=True
        )
    return Verdict(error=ProviderRejectedError(f"{where} refused it: {code} {told}".rstrip()))


def failure(error: Exception, where: str) -> Failure | None:
    """Return what *error* is to the request that met it; None if it is none of AWS's."""
    from botocore import exceptions  # noqa: PLC0415 - whoever calls a client has it

    if isinstance(error, exceptions.ClientError):
        return _refused(error, where)
    told = _USER.sub("//***@", str(error))
    passing = (exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError, TimeoutError, OSError)
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError, *passing)):
        return Failure(ProviderUnavailableError(f"{where} cannot be reached: {told}; retry"), again=True)
    if isinstance(error, exceptions.ParamValidationError):
        return Failure(ProviderRejectedError(f"{where}: {told}"), one=True)
    if isinstance(error, exceptions.BotoCoreError):
        return Failure(ConfigurationError(f"{where}: {told}; check the role of this process, and AWS_REGION"))
    return None


def _refused(error: Any, where: str) -> Failure:
    told = error.response.get("Error", {})
    code, text = str(told.get("Code", "")), str(told.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in PASSING or status >= SERVER_ERROR:
        return Failure(ProviderUnavailableError(f"{where}: {code} {text}; retry"), again=True)
    if code in ONE:
        return Failure(ProviderRejectedError(f"{where} refused it: {code} {text}"), one=True)
    fix = (
        f"check its name and region, and that this process may {getattr(error, 'operation_name', 'do this')}"
    )
    return Failure(ConfigurationError(f"{where}: {code} {text}; {fix}"))
