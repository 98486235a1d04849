"""Rules in AWS: a parameter of the Parameter Store, or an object in S3. Both keep earlier versions.

A parameter holds 4 kB, an advanced one 8 kB. What is larger may be compressed: `gzip -c rules.yaml | base64 -w0`.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from staleproof.errors import ConfigurationError, ProviderUnavailableError
from staleproof_pipeline.rules.loader import MAX_BYTES
from staleproof_pipeline.rules.reload import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GZIP = "H4sI"
"""How base64 of gzip begins."""

_GZIP_WINDOW = 31
_MISSING = {"ParameterNotFound", "ParameterVersionNotFound", "NoSuchKey", "NoSuchBucket", "404"}
_DENIED = {"AccessDenied", "AccessDeniedException", "403"}
_UNCHANGED = {"304", "NotModified"}


class ParameterText:
    """A parameter.

    Args:
        client: makes the SSM client when it is first needed.
        parameter: its name, such as `/shop/rules`.
        field: the setting that names it, for messages.
    """

    def __init__(self, client: Callable[[], Any], parameter: str, field: str = "rules") -> None:
        self.field = field
        self.name = f"ssm:{parameter}"
        self._make_client = client
        self._client: Any = None
        self._parameter = parameter
        self._version = 0

    def fetch(self, known: str) -> Fetched | None:
        """See `RulesText.fetch`."""
        try:
            version, text = self._get(self._parameter)
        except (BotoCoreError, ClientError) as error:
            _translate(self, "ssm:GetParameter", error)
        self._version = version
        return None if str(version) == known else Fetched(_inflated(text, self.name), str(version))

    def earlier(self) -> Iterator[Fetched]:
        """See `RulesText.earlier`."""
        for version in range(self._version - 1, 0, -1):
            try:
                _, text = self._get(f"{self._parameter}:{version}")
            except (BotoCoreError, ClientError) as error:
                _translate(self, "ssm:GetParameter", error)
            yield Fetched(_inflated(text, self.name), str(version))

    def _get(self, name: str) -> tuple[int, str]:
        self._client = self._client or self._make_client()
        found = self._client.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        return int(found["Version"]), str(found["Value"])


class ObjectText:
    """An object; without versioning it has no earlier versions.

    Args:
        client: makes the S3 client when it is first needed.
        bucket: its bucket.
        key: its key.
        field: the setting that names it, for messages.
    """

    def __init__(self, client: Callable[[], Any], bucket: str, key: str, field: str = "rules") -> None:
        self.field = field
        self.name = f"s3://{bucket}/{key}"
        self._make_client = client
        self._client: Any = None
        self._object = {"Bucket": bucket, "Key": key}
        self._etag = ""

    def fetch(self, known: str) -> Fetched | None:
        """See `RulesText.fetch`."""
        try:
            found = self._get(**({"IfNoneMatch": known} if known else {}))
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _UNCHANGED:
                return None
            _translate(self, "s3:GetObject", error)
        self._etag = found.version
        return None if found.version == known else found

    def earlier(self) -> Iterator[Fetched]:
        """See `RulesText.earlier`."""
        try:
            listed = self._client.list_object_versions(
                Bucket=self._object["Bucket"], Prefix=self._object["Key"], MaxKeys=50
            )
            for each in listed.get("Versions", []):
                if each["Key"] == self._object["Key"] and not each["IsLatest"]:
                    yield self._get(VersionId=each["VersionId"])
        except (BotoCoreError, ClientError) as error:
            _translate(self, "s3:ListBucketVersions and s3:GetObjectVersion", error)

    def _get(self, **given: str) -> Fetched:
        self._client = self._client or self._make_client()
        found = self._client.get_object(**self._object, **given)
        body = found["Body"]
        try:
            raw = body.read(MAX_BYTES + 1)  # one more than allowed: the loader says that it is too large
        finally:
            body.close()
        try:
            return Fetched(_inflated(raw.decode(), self.name), str(found["ETag"]))
        except UnicodeDecodeError as error:
            # A version of its own, so that it is refused once and not fetched again.
            return Fetched(f"\0{error.reason}", str(found["ETag"]))


def _inflated(text: str, name: str) -> str:
    """Return *text*, unpacked if it is packed; never more than the loader takes, and a byte."""
    if not text.startswith(_GZIP):
        return text
    try:
        packed = zlib.decompressobj(_GZIP_WINDOW)
        return packed.decompress(base64.b64decode(text, validate=False), MAX_BYTES + 1).decode()
    except (zlib.error, binascii.Error, UnicodeDecodeError) as error:
        return f"\0{name}: {error}"  # no rules file: refused as one, under its own version


def _code(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _translate(text: ParameterText | ObjectText, action: str, error: Exception) -> NoReturn:
    code, name, field = _code(error), text.name, text.field
    if code in _MISSING:
        raise ConfigurationError(
            f"{name}: there is none; write the {field.replace('_', ' ')} there, or correct STALEPROOF_{field.upper()}"
        ) from error
    if code in _DENIED or isinstance(error, NoCredentialsError):
        raise ConfigurationError(f"{name}: {error}; allow the function's role {action}") from error
    raise ProviderUnavailableError(f"{name}: {error}; retry") from error
