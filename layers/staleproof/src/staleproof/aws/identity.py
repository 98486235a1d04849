"""`Identity`: what this process is to AWS, asked anew for every token.

Theory of operation: keys rotate while a process runs. In the environment (a Lambda function, a CI job) they are read
each time. Everywhere else, which is containers on ECS, web identity on EKS, roles of EC2 instances, profiles and
single sign-on, botocore's own chain finds them; what it returns refreshes itself some 15 minutes before the end, so it
is kept, and asked each time. The order is botocore's: the environment goes first. A forked child looks for itself.
`forget` makes the next question begin anew, for keys in a file that somebody replaced.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

from staleproof.aws.clients import translated
from staleproof.aws.signing import Keys
from staleproof.errors import ConfigurationError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HELP = "give the function, task or instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class Identity(Protocol):
    """Tells keys."""

    def keys(self) -> Keys:
        """Return what to sign with now; may ask a service."""
        ...

    def forget(self) -> None:
        """Remember nothing: what was told last was refused."""
        ...


class AmbientIdentity:
    """The identity that the surroundings give.

    Args:
        environ: the environment; the process's own by default.
        chain: finds credentials that refresh themselves; botocore's by default.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, chain: Callable[[], Any] | None = None
    ) -> None:
        self._environ = environ
        self._chain = chain or _botocore
        self._lock = threading.Lock()
        self._found: Any = None
        self._process = 0

    def keys(self) -> Keys:
        """See `Identity.keys`.

        Raises:
            ConfigurationError: there are none.
            ProviderUnavailableError: who gives them does not answer; retry.
        """
        return from_environment(os.environ if self._environ is None else self._environ) or self._chained()

    def forget(self) -> None:
        """See `Identity.forget`."""
        self._found = None

    def _chained(self) -> Keys:
        with translated("AWS credentials"):
            try:
                frozen = self._refreshing().get_frozen_credentials()
            except RuntimeError as error:  # what botocore makes of keys that came back as old as they went
                raise ProviderUnavailableError(f"AWS credentials: {error} Retry") from error
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or "")

    def _refreshing(self) -> Any:
        if self._process != os.getpid():
            self._lock, self._found, self._process = threading.Lock(), None, os.getpid()
        with self._lock:
            found = self._found
            if found is None:
                found = self._found = self._chain()
        if found is None:
            raise ConfigurationError(f"AWS credentials: there are none; {HELP}")
        return found


def from_environment(environ: Mapping[str, str]) -> Keys | None:
    """Return the keys that *environ* holds, None if it holds none.

    Raises:
        ConfigurationError: there is a key without its secret.
    """
    access = environ.get("AWS_ACCESS_KEY_ID")
    if not access:
        return None
    secret = environ.get("AWS_SECRET_ACCESS_KEY")
    if not secret:
        raise ConfigurationError(
            "AWS credentials: AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY; set both"
        )
    return Keys(access, secret, environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN") or "")


def _botocore() -> Any:
    try:
        from botocore.session import Session  # noqa: PLC0415 - 90 ms that keys in the environment spare
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"AWS credentials: none in the environment, and others need boto3; install staleproof[aws], or {HELP}"
        ) from error
    return Session().get_credentials()
