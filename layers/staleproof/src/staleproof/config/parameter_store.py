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

from staleproof.aws import clients
from staleproof.aws.clients import translated
from staleproof.config.environment import ELSEWHERE
from staleproof.config.given import Given, Layer
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_PARAMETERS = 1_000
PAGE = 10
"""The most that one answer may hold: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html"""

REMEDY = "allow ssm:GetParametersByPath on it, and kms:Decrypt on the key of its SecureStrings"


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
        with translated(f"ssm {path}", REMEDY):
            page: Mapping[str, Any] = self._connected().get_parameters_by_path(
                Path=path, Recursive=True, WithDecryption=True, MaxResults=PAGE, **token
            )
        return page

    def _connected(self) -> Any:
        if self._client is None or self._process != os.getpid():
            self._client, self._process = self._connect(), os.getpid()
        return self._client


def client() -> Any:
    """Return a client of the service; see `staleproof.aws.clients`.

    Raises:
        ConfigurationError: boto3 is not installed, or no region is known.
    """
    return clients.client("ssm", otherwise=", or set STALEPROOF_SSM_PATH to none")
