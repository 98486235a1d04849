"""The API of a DynamoDB stream, in our words: what passes by itself, what never will, and what is no failure at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from staleproof.errors import ConfigurationError, ProviderRejectedError, ProviderUnavailableError
from staleproof_pipeline.consuming.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 1_000
"""Records that one answer holds at most."""

_REFUSED = ("AccessDenied", "UnrecognizedClient", "InvalidSignature", "ExpiredToken", "InvalidClientToken")


class ExpiredError(Exception):
    """An iterator lived for its fifteen minutes; make another."""


class TrimmedError(Exception):
    """The records at that place are gone: the stream keeps them for a day."""


_TOLD = {"ExpiredIteratorException": ExpiredError, "TrimmedDataAccessException": TrimmedError}


class StreamApi:
    """One stream.

    Its methods raise `ProviderUnavailableError` (again, later), `ProviderRejectedError` (the role), and
    `ConfigurationError` (there is no such stream).

    Args:
        client: a boto3 client of `dynamodbstreams`.
        arn: the stream's ARN.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self.arn = arn

    def shards(self) -> list[Shard]:
        """Return all shards that are listed."""
        found: list[Shard] = []
        arguments: dict[str, Any] = {"StreamArn": self.arn}
        while True:
            described = self._call("describe_stream", **arguments)["StreamDescription"]
            found += map(Shard.of, described.get("Shards", []))
            last = described.get("LastEvaluatedShardId")
            if not last:
                return found
            arguments["ExclusiveStartShardId"] = last

    def iterator(self, shard: str, where: Mapping[str, str]) -> str:
        """Return an iterator; *where* are the arguments that say its place.

        Raises:
            TrimmedError: there is nothing at that place any more.
        """
        answer = self._call("get_shard_iterator", StreamArn=self.arn, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    def page(self, iterator: str, count: int) -> Any:
        """Return at most *count* records, and the next iterator.

        Raises:
            ExpiredError, TrimmedError: see there.
        """
        return self._call("get_records", ShardIterator=iterator, Limit=count)

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as error:
            raise self._told(error, str(error.response.get("Error", {}).get("Code", ""))) from error
        except BotoCoreError as error:
            raise ProviderUnavailableError(f"stream {self.arn}: {error}; retry") from error

    def _told(self, error: ClientError, code: str) -> Exception:
        if code in _TOLD:
            return _TOLD[code](str(error))
        if code == "ResourceNotFoundException":
            return ConfigurationError(f"stream {self.arn}: there is none; name a table's stream")
        if code.startswith(_REFUSED):
            return ProviderRejectedError(f"stream {self.arn}: {error}; check the worker's role")
        return ProviderUnavailableError(f"stream {self.arn}: {error}; retry")
