"""`SecretCredentials`: user and password from AWS Secrets Manager, read anew when the server refuses them.

A secret is a JSON object with `password` and, if it is not said elsewhere, `username`, as the rotation function that
AWS publishes for ElastiCache keeps it; or the password itself. It is read when the first connection opens, and kept. A
rotation needs no notice: users of ElastiCache have two passwords, so the old one works until the next rotation, and
then the server refuses it, and the secret is read once more. While the server refuses what was just read, it is not
read again for some seconds.

What a function needs: `secretsmanager:GetSecretValue` on the secret, `kms:Decrypt` if it has a key of your own, and a
way to the service (in a subnet without NAT, the interface endpoint `com.amazonaws.REGION.secretsmanager`).

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/User-Secrets-Manager.html
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from staleproof.aws.clients import client, translated
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.clock import Instant

READ_EVERY = 5.0
"""Seconds between two readings that a refusing server causes."""

_ARN = r"arn:[\w-]+:secretsmanager:([\w-]+):"

MAX_SECRET = 65_536
"""The longest secret there can be: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html"""


class SecretCredentials:
    """A redis-py `CredentialProvider`, and `staleproof.providers.redis.credentials.Credentials`. Thread-safe.

    Args:
        secret_id: name or ARN of the secret; an ARN says in which region it lies.
        user: whose password it is; what the secret says by default, and then the server's default user.
        connect: makes the client, by region; one of boto3 with short time-outs by default.
        clock: the source of time.
    """

    lifetime: float | None = None

    def __init__(
        self,
        secret_id: str,
        user: str | None = None,
        *,
        connect: Callable[[str | None], Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.secret_id = secret_id
        self.user = user
        self._connect = connect or _secrets_manager
        self._clock = clock
        self._lock = threading.Lock()
        self._process = 0
        self._client: Any = None
        self._held: tuple[str] | tuple[str, str] | None = None
        self._read: Instant | None = None

    def __repr__(self) -> str:
        return f"SecretCredentials({self.secret_id!r}, {self.user!r})"

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return user and password, or the password of the default user.

        Raises:
            ConfigurationError: access is denied, there is no such secret, or it holds no password.
            ProviderUnavailableError: the service cannot be reached or asks to wait; retry.
        """
        held = self._held
        if held is not None:
            return held
        if self._process != os.getpid():
            self._lock, self._client, self._process = threading.Lock(), None, os.getpid()
        with self._lock:
            held = self._held  # `rejected` may take it away at any time
            if held is None:
                held = self._look()
                self._read, self._held = self._clock.now(), held
            return held

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """Return the same; the service is asked in a thread."""
        held = self._held
        if held is not None:
            return held
        import asyncio  # noqa: PLC0415 - whoever awaits this has it

        return await asyncio.to_thread(self.get_credentials)

    def rejected(self) -> None:
        """Read the secret anew for the next connection, unless it was read just now."""
        read = self._read
        if read is None or self._clock.now().elapsed(read) >= READ_EVERY:
            self._held = None

    def _look(self) -> tuple[str] | tuple[str, str]:
        with translated(f"secret {self.secret_id}"):
            if self._client is None:
                self._client = self._connect(_region(self.secret_id))
            text = self._client.get_secret_value(SecretId=self.secret_id).get("SecretString")
        user, password = _read(text, f"secret {self.secret_id}")
        user = self.user or user
        return (user, password) if user else (password,)


def _secrets_manager(region: str | None) -> Any:
    return client("secretsmanager", region)


def _region(secret_id: str) -> str | None:
    matched = re.match(_ARN, secret_id)
    return matched[1] if matched else None


def _read(text: object, what: str) -> tuple[str, str]:
    """Return user, "" if none is named, and password."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_SECRET:
        raise ConfigurationError(
            f"{what} holds no text; store {{'username': ..., 'password': ...}} in it as JSON"
        )
    if not text.lstrip().startswith("{"):
        return "", text
    try:
        held: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return "", text  # a password that begins with a brace
    password, user = held.get("password"), held.get("username") or ""
    if not isinstance(password, str) or not password or not isinstance(user, str):
        raise ConfigurationError(
            f"{what} has no text 'password'; store {{'username': ..., 'password': ...}} in it"
        )
    return user, password
