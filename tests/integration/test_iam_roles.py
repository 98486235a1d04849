"""Roles where they are found in earnest: botocore's own chain asks a container's, an instance's and a token's issuer.

The issuers are a server of this test's, in the shapes that AWS documents; it hands out keys that are nearly over first.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import ConfigurationError, ProviderUnavailableError
from staleproof.aws import IamCredentials
from staleproof.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEARLY_OVER, FRESH = timedelta(minutes=5), timedelta(hours=6)
STS = """\
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey>
<SessionToken>{Token}</SessionToken><Expiration>{Expiration}</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
"""


class Issuer(ThreadingHTTPServer):
    """Issues keys, each time others; the first ones are nearly over.

    Attributes:
        issued: how often it did.
        away: whether it answers with an error.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Window)
        self.issued = 0
        self.away = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def keys(self) -> dict[str, str]:
        self.issued += 1
        end = datetime.now(UTC) + (NEARLY_OVER if self.issued == 1 else FRESH)
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": f"ISSUED{self.issued}",
            "SecretAccessKey": "SECRET",
            "Token": "session",
            "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class Window(BaseHTTPRequestHandler):
    """One question to the issuer."""

    @property
    def issuer(self) -> Issuer:
        server: Any = self.server
        return server  # type: ignore[no-any-return]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
        del format, args

    def do_PUT(self) -> None:
        self._say("session-token")

    def do_GET(self) -> None:
        if self.path.endswith(("/security-credentials/", "/security-credentials-extended/")):
            self._say("app-role")
        elif self.path.startswith(("/latest/meta-data/iam/", "/container")):
            self._say(json.dumps(self.issuer.keys()))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(STS.format(**self.issuer.keys()))

    def _say(self, text: str) -> None:
        if self.issuer.away:
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "60")
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which AWS has told this process nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return monkeypatch


def container(issuer: Issuer, bare: pytest.MonkeyPatch, folder: Path) -> None:
    """ECS, EKS Pod Identity and Lambda with SnapStart."""
    del folder
    bare.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{issuer.url}/container")


def instance(issuer: Issuer, bare: pytest.MonkeyPatch, folder: Path) -> None:
    """EC2."""
    del folder
    bare.delenv("AWS_EC2_METADATA_DISABLED")
    bare.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuer.url)


def web_identity(issuer: Issuer, bare: pytest.MonkeyPatch, folder: Path) -> None:
    """EKS with a role for a service account."""
    (folder / "token").write_text("signed-by-the-cluster")
    bare.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(folder / "token"))
    bare.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app")
    bare.setenv("AWS_ENDPOINT_URL_STS", issuer.url)


def profile(issuer: Issuer, bare: pytest.MonkeyPatch, folder: Path) -> None:
    """A file on somebody's own machine, with keys that do not end."""
    del issuer, bare
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = ISSUED1\naws_secret_access_key = SECRET\n"
    )


@pytest.mark.parametrize(("role", "issued"), [(container, 2), (instance, 1), (web_identity, 2)])
def test_a_role_is_found_and_followed(
    role: Any, issued: int, issuer: Issuer, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tokens are signed with the role's keys; keys that are nearly over are replaced, and the token with them.

    But for an instance's, which botocore prolongs by itself: an instance gets new ones in time.
    """
    role(issuer, bare, tmp_path)
    credentials = IamCredentials("my-cache", "app", clock=ManualClock())
    tokens = [credentials.get_credentials()[1] for _ in range(4)]
    assert f"ISSUED{issued}" in tokens[1]
    assert tokens[1] == tokens[2] == tokens[3]
    assert "X-Amz-Security-Token=session" in tokens[3]
    assert issuer.issued == issued


def test_a_file_that_was_replaced_is_read_after_a_refusal(
    issuer: Issuer, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keys in a file do not say that they changed; the server's refusal does."""
    profile(issuer, bare, tmp_path)
    credentials = IamCredentials("my-cache", "app", clock=ManualClock())
    assert "ISSUED1" in credentials.get_credentials()[1]
    text = (tmp_path / "credentials").read_text()
    (tmp_path / "credentials").write_text(text.replace("ISSUED1", "REPLACED"))
    assert "ISSUED1" in credentials.get_credentials()[1]
    credentials.rejected()
    assert "REPLACED" in credentials.get_credentials()[1]


@pytest.mark.slow
def test_an_issuer_that_is_away_is_to_be_retried(
    issuer: Issuer, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container's issuer that fails is no misconfiguration; when it is back, so are we."""
    container(issuer, bare, tmp_path)
    issuer.away = True
    credentials = IamCredentials("my-cache", "app")
    with pytest.raises(ProviderUnavailableError, match="AWS credentials"):
        credentials.get_credentials()
    issuer.away = False
    assert "ISSUED" in credentials.get_credentials()[1]


def test_nobody_is_found(bare: pytest.MonkeyPatch) -> None:
    """Without any role there is nothing to retry."""
    del bare
    with pytest.raises(
        ConfigurationError, match="there are none; give the function, task or instance a role"
    ):
        IamCredentials("my-cache", "app").get_credentials()
