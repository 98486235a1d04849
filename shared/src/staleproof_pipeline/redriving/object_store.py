"""Objects of S3 below a prefix: batches that Lambda gave up delivering, and letters that came of them, one each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.clients import code, translated
from staleproof.errors import ConfigurationError
from staleproof_pipeline.dead_letter import MAX_LETTER, bodies
from staleproof_pipeline.redriving.store import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.dead_letter import DeadLetter

PAGE = 10
REDRIVEN = "redriven/"
"""Where letters are put, below the prefix."""


class ObjectStore:
    """A `LetterStore`. An object whose content is too large, or no text, is held with an empty text: it stays.

    Args:
        client: a boto3 client of `s3`.
        bucket: the bucket.
        prefix: of the objects' keys; "" for all.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._token: str | None = None
        self._ended = False
        self._listed: list[dict[str, Any]] = []
        self._made: set[str] = set()

    def take(self) -> list[Held]:
        """See `LetterStore.take`."""
        while not self._listed and not self._ended:
            self._list()
        some, self._listed = self._listed[:PAGE], self._listed[PAGE:]
        found = [held for each in some if (held := self._held(each)) is not None]
        return self.take() if some and not found else found

    def remove(self, held: Sequence[Held]) -> None:
        """See `LetterStore.remove`."""
        for key in (receipt for each in held for receipt in each.receipts):
            with translated(f"bucket {self._bucket}"):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def replace(self, held: Held, letters: Sequence[DeadLetter]) -> None:
        """See `LetterStore.replace`."""
        kept: set[str] = set()
        folder = f"{self._prefix.removesuffix('/')}/" if self._prefix else ""
        for each in letters:
            key = f"{folder.removesuffix(REDRIVEN)}{REDRIVEN}{each.id}.json"
            (body,) = bodies(each, MAX_LETTER)
            self._made.add(key)
            with translated(f"bucket {self._bucket}"):
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body.encode())
            kept.add(key)
        if not kept.issuperset(held.receipts):
            self.remove([held])

    def release(self, held: Sequence[Held]) -> None:
        """See `LetterStore.release`."""

    def close(self) -> None:
        """See `LetterStore.close`."""

    def _list(self) -> None:
        more = {"ContinuationToken": self._token} if self._token else {}
        with translated(f"bucket {self._bucket}"):
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, **more)
        self._token = page.get("NextContinuationToken")
        self._ended = not self._token
        self._listed += [each for each in page.get("Contents", []) if each["Key"] not in self._made]

    def _held(self, listed: dict[str, Any]) -> Held | None:
        """Return an object; None if somebody else has dealt with it since it was listed."""
        key, modified = listed["Key"], listed.get("LastModified")
        at_ms = round(modified.timestamp() * 1_000) if modified else 0
        if listed.get("Size", 0) > MAX_LETTER:
            return Held(key, ("",), (key,), at_ms)
        with translated(f"s3://{self._bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except Exception as error:
                if code(error) == "NoSuchKey":
                    return None
                raise
            text = answer["Body"].read().decode(errors="replace")
        return Held(key, (text,), (key,), at_ms)


def place(address: str) -> tuple[str, str]:
    """Return bucket and key, or prefix, of an `s3://` address.

    Raises:
        ConfigurationError: it names no bucket.
    """
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigurationError(
            f"{address[:80]!r} names no bucket; write s3://BUCKET, or s3://BUCKET/PREFIX"
        )
    return bucket, key
