"""Messages as items of an outbox table in DynamoDB, whose stream then carries them. Pure.

An item has the message's `id`, which is the table's key, the `message` itself as JSON, and the second after which
DynamoDB may remove it, `expires_at`, for the table's time to live. The stream tells of the removal too, as it tells of
every one; a reader takes inserts alone.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError, OversizedEventError, ProviderUnavailableError
from staleproof.events.change import Message, encode
from staleproof.publishers.delivery import Limits, Verdict
from staleproof.publishers.figures import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ID, MESSAGE, EXPIRES = "id", "message", "expires_at"
MAX_ITEMS = 25
MAX_ITEM = 409_600
MAX_REQUEST = 16_000_000
WEEK = 7 * 86_400
LONGEST_TTL = 100 * 366 * 86_400.0
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:[\w-]+:dynamodb:[\w-]+:\d+:table/[A-Za-z0-9_.-]{3,255}")


def outbox_item(
    message: Message, *, ttl: float = WEEK, typed: bool = True, now: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Return the item of *message*, to be put in the caller's own transaction beside the row that changed.

    Args:
        message: the message.
        ttl: seconds after which DynamoDB may remove it; longer than the 24 hours for which a stream keeps a record.
        typed: write attribute values as a client takes them, `{"S": ...}`; False for what boto3's resources take.
        now: the present, UTC seconds.

    Raises:
        OversizedEventError: a table takes no item of this size.
    """
    text = encode(message).decode()
    expires = int(now() + ttl)
    size = sum(map(len, (ID, MESSAGE, EXPIRES, str(expires)))) + len(message.id.encode()) + len(text.encode())
    if size > MAX_ITEM:
        raise OversizedEventError(
            f"a table takes items of {MAX_ITEM} bytes, and this one has {size}: name keys, and leave old and new out"
        )
    if not typed:
        return {ID: message.id, MESSAGE: text, EXPIRES: expires}
    return {ID: {"S": message.id}, MESSAGE: {"S": text}, EXPIRES: {"N": str(expires)}}


def outbox_table(name: str) -> dict[str, Any]:
    """Return the arguments of `CreateTable` for an outbox called *name*; its time to live is switched on apart."""
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": ID, "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": ID, "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }


class OutboxRoute:
    """From messages to puts into one table.

    Args:
        table: its name or ARN.
        ttl: seconds after which DynamoDB may remove an item.

    Raises:
        ConfigurationError: no table can be called so.
    """

    limits = Limits(MAX_ITEMS, MAX_REQUEST, distinct=True)

    def __init__(self, table: str, ttl: float = WEEK) -> None:
        if not _TABLE.fullmatch(table):
            raise ConfigurationError(
                f"table={table!r:.80} is no name or ARN of a table; write dynamodb://NAME"
            )
        self._ttl = seconds(ttl, "ttl", LONGEST_TTL)
        self.where = f"table {table!r}"
        self._table = table

    def pack(self, message: Message) -> tuple[dict[str, Any], int]:
        """Return the put of *message*, and its size in bytes; raises as `outbox_item` does."""
        item = outbox_item(message, ttl=self._ttl)
        return {"PutRequest": {"Item": item}}, len(item[MESSAGE]["S"].encode())

    def request(self, puts: list[Any]) -> dict[str, list[Any]]:
        """Return the items of a request."""
        return {self._table: puts}

    def verdicts(self, puts: list[Any], answer: Mapping[str, Any]) -> list[Verdict]:
        """Return what became of each of *puts*, in their order."""
        unprocessed = [put for puts in (answer.get("UnprocessedItems") or {}).values() for put in puts]
        left = {put["PutRequest"]["Item"][ID]["S"] for put in unprocessed}
        return [self._verdict(put["PutRequest"]["Item"][ID]["S"], left) for put in puts]

    def _verdict(self, name: str, left: set[str]) -> Verdict:
        if name not in left:
            return Verdict(place=name)
        told = f"{self.where} left it unprocessed: its capacity, or the account's, is used up; retry"
        return Verdict(error=ProviderUnavailableError(told), again=True)
