"""AWS Systems Manager's Parameter Store as a source of settings: everything below one path, one parameter a value.

`/staleproof/prod/near/max_copies` below `/staleproof/prod` gives `near.max_copies`. A SecureString is decrypted, and
never shown. The client is made at the first use, and made anew in a forked child, which must not speak on its
parent's sockets.

What a function needs: `ssm:GetParametersByPath` on the path, `kms:Decrypt` if SecureStrings have a key of your own, and
a way to the service (in a subnet without NAT, the interface endpoint `com.amazonaws.REGION.ssm`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from staleproof.config.environment import ELSEWHERE
from staleproof.config.given import Given, Layer
from staleproof.errors import CacheError, ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_PARAMETERS = 1_000
PAGE = 10
"""The most that one answer may hold: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html"""

CONNECT_TIMEOUT, READ_TIMEOUT, ATTEMPTS = 2, 5, 3

RETRY = frozenset(
    {"ThrottlingException", "InternalServerError", "ServiceUnavailable", "RequestLimitExceeded"}
)


class ParameterStore:
    """Reads parameters below a path.

    Args:
        connect: makes the client; by default one of boto3, with short time-outs, in the region that AWS's own settings
            name.
    """

    def __init__(self, connect: Callable[[], Any] | None = None) -> None:
        self._connect = connect or client
        self._client: Any = None
        self._process = 0

    def read(self, path: str) -> Layer:
        """Return what lies below *path*.

        Raises:
            ConfigurationError: access is denied, or nothing lies there.
            ProviderUnavailableError: the service cannot be reached or asks to wait; retry.
        """
        below = path.rstrip("/") + "/"
        layer: Layer = {}
        for parameter in self._parameters(path):
            name = parameter["Name"]
            setting = name.removeprefix(below).replace("/", ".")
            if setting not in ELSEWHERE:
                secret = parameter["Type"] == "SecureString"
                layer[setting] = Given(parameter["Value"], f"ssm {name}", secret=secret)
        if not layer:
            raise ConfigurationError(
                f"ssm {path}: no parameter lies below it; check STALEPROOF_STAGE, STALEPROOF_SSM_PATH and the region"
            )
        return layer

    def _parameters(self, path: str) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        read = 0
        while True:
            page = self._page(path, token)
            yield from page["Parameters"]
            read += len(page["Parameters"])
            if read > MAX_PARAMETERS:
                raise ConfigurationError(
                    f"ssm {path}: has more than {MAX_PARAMETERS} parameters; name a path of its own"
                )
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _page(self, path: str, token: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            page: Mapping[str, Any] = self._connected().get_parameters_by_path(
                Path=path, Recursive=True, WithDecryption=True, MaxResults=PAGE, **token
            )
        except Exception as error:
            told = failure(error, path)
            if told is None:
                raise
            raise told from error
        return page

    def _connected(self) -> Any:
        if self._client is None or self._process != os.getpid():
            self._client, self._process = self._connect(), os.getpid()
        return self._client


def client() -> Any:
    """Return a client of the service.

    Raises:
        ConfigurationError: boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415 - it costs more than the whole library, and few starts need it
        from botocore.config import Config  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the Parameter Store needs boto3; install staleproof[aws], or set STALEPROOF_SSM_PATH to none"
        ) from error
    limits = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    # A session of its own: the default one is shared with the application, and no two threads may make clients of it.
    return boto3.session.Session().client("ssm", config=limits)


def failure(error: Exception, path: str) -> CacheError | None:
    """Return what *error*, met while reading below *path*, is to a caller; None if it is none of the service's."""
    if isinstance(error, CacheError):
        return None
    from botocore import exceptions  # noqa: PLC0415 - whoever raised it has it

    if isinstance(error, exceptions.ClientError):
        return _refusal(error, path)
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return ProviderUnavailableError(f"ssm {path}: {error}; retry, or check the way to the service")
    if isinstance(error, exceptions.BotoCoreError):
        return ConfigurationError(f"ssm {path}: {error}; check the function's role, and AWS_REGION")
    return None


def _refusal(error: Any, path: str) -> CacheError:
    code = error.response["Error"].get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in RETRY or status >= 500:  # noqa: PLR2004 - a server's own failure
        return ProviderUnavailableError(f"ssm {path}: {code}; retry")
    return ConfigurationError(
        f"ssm {path}: {error}; allow ssm:GetParametersByPath on it, and kms:Decrypt on the key of its SecureStrings"
    )
