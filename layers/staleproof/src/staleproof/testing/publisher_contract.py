"""`PublisherContract`: the laws of `staleproof.ports.Publisher`, as a suite that any publisher can inherit.

Fixtures to supply:

* `publisher`: a fresh publisher whose transport holds nothing; one for asyncio inside `staleproof.testing.Blocking`;
* `arrived`: a function that returns what the transport holds now, each message in its wire form, oldest first;
* `refuse`: a function that makes the transport refuse the messages of some ids: `refuse(ids, once=True)` the first time
  only and for a passing reason, `refuse(ids, once=False)` always and for good. Of a transport that cannot be made to
  refuse, say `refuses = False`, and leave it out.
"""

from __future__ import annotations

import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from staleproof.errors import CacheError, EventError, ProviderUnavailableError, UnpublishedError
from staleproof.events.bounds import MAX_MESSAGE
from staleproof.events.change import Change, Invalidate, Message, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staleproof.ports import Publisher

    Arrived = Callable[[], Sequence[bytes]]


class Refuse(Protocol):
    """Makes a transport refuse messages."""

    def __call__(self, ids: Sequence[str], *, once: bool) -> None:
        """Refuse the messages of *ids*: once and for a passing reason, or always and for good."""
        ...


def changes(count: int, entity: str = "product") -> list[Message]:
    """Return so many changes of one row."""
    return [Change.now(entity, "modify", keys={"id": 42}, new={"id": 42, "n": at}) for at in range(count)]


def oversized() -> Change:
    """Return a change that no transport takes."""
    return Change.now("product", "modify", keys={"id": 1}, new={"text": "x" * MAX_MESSAGE})


class PublisherContract:
    """What an application may rely on.

    Attributes:
        ordered: changes of one row arrive in the order in which they were sent.
        refuses: the transport can be made to refuse messages.
        many: how many messages the laws of numbers send.
    """

    ordered: ClassVar[bool] = True
    refuses: ClassVar[bool] = True
    many: ClassVar[int] = 257

    def test_nothing_is_lost(self, publisher: Publisher, arrived: Arrived) -> None:
        """Whatever a receipt says was taken arrives, as it was sent, of both kinds."""
        sent = [
            *changes(self.many),
            Invalidate.now("catalog", keys=["product:1"], soft=True),
            *changes(3, "ü"),
        ]
        receipts = publisher.send(sent)
        assert [receipt.error for receipt in receipts] == [None] * len(sent)
        assert {each.id: each for each in map(decode, arrived())} == {each.id: each for each in sent}

    def test_receipts_are_in_order(self, publisher: Publisher) -> None:
        """The receipt of a message stands where the message stood."""
        sent = changes(self.many)
        assert [receipt.id for receipt in publisher.send(sent)] == [each.id for each in sent]

    def test_places_are_told_apart(self, publisher: Publisher) -> None:
        """Two messages have no place in common, if the transport names places."""
        places = [receipt.place for receipt in publisher.send(changes(20)) if receipt.place]
        assert len(places) == len(set(places))

    def test_changes_of_a_row_keep_their_order(self, publisher: Publisher, arrived: Arrived) -> None:
        """What was sent later arrives later, in one call and from call to call."""
        if not self.ordered:
            raise unittest.SkipTest("this transport has no order")
        sent = changes(60)
        publisher.send(sent[:30])
        publisher.send(sent[30:])
        assert [each.id for each in map(decode, arrived())] == [each.id for each in sent]

    def test_nothing_to_send_is_no_slip(self, publisher: Publisher, arrived: Arrived) -> None:
        """An empty list has no receipts, and nothing arrives."""
        assert publisher.send([]) == []
        assert publisher.publish() == []
        assert list(arrived()) == []

    def test_what_cannot_be_sent_hinders_nothing_else(self, publisher: Publisher, arrived: Arrived) -> None:
        """An oversized message has an `EventError` in its receipt; those before and behind it arrive, once."""
        sent = changes(12)
        sent.insert(5, oversized())
        receipts = publisher.send(sent)
        assert [receipt.id for receipt in receipts] == [each.id for each in sent]
        assert [at for at, receipt in enumerate(receipts) if receipt.error is not None] == [5]
        assert isinstance(receipts[5].error, EventError)
        assert [each.id for each in self._arrived(arrived)] == sorted(
            each.id for each in sent if each is not sent[5]
        )

    def test_publish_raises_what_send_tells(self, publisher: Publisher, arrived: Arrived) -> None:
        """`publish` returns the receipts, or raises them: nobody who forgets to look loses a message unawares."""
        good, bad = changes(2), oversized()
        assert [receipt.taken for receipt in publisher.publish(*good)] == [True, True]
        raised = _raised(publisher, bad, *changes(1))
        assert [receipt.taken for receipt in raised.receipts] == [False, True]
        assert not raised.passing
        assert bad.id in str(raised)
        assert len(arrived()) == 3

    def test_one_message_twice_has_two_receipts(self, publisher: Publisher, arrived: Arrived) -> None:
        """A message that is sent twice at once is no error; it arrives, once or twice."""
        (message,) = changes(1)
        receipts = publisher.send([message, message])
        assert [receipt.taken for receipt in receipts] == [True, True]
        assert {decode(raw).id for raw in arrived()} == {message.id}

    def test_threads_share_it(self, publisher: Publisher, arrived: Arrived) -> None:
        """What several threads send at once arrives, and each has its own receipts."""
        batches = [changes(25, f"entity-{number}") for number in range(4)]
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(publisher.send, batches))
        assert [[each.id for each in answer] for answer in answers] == [
            [m.id for m in batch] for batch in batches
        ]
        assert all(receipt.taken for answer in answers for receipt in answer)
        assert len(arrived()) == 100

    def test_a_closed_publisher_opens_again(self, publisher: Publisher, arrived: Arrived) -> None:
        """Closing loses connections and nothing else, however often."""
        publisher.publish(*changes(1))
        publisher.close()
        publisher.close()
        publisher.publish(*changes(1))
        assert len(arrived()) == 2

    # --- refusals ----------------------------------------------------------------------------------

    def test_a_passing_refusal_is_overcome(
        self, publisher: Publisher, arrived: Arrived, request: Any
    ) -> None:
        """What is refused once is sent again; what was taken meanwhile is not."""
        sent = changes(25)
        self._refuse(request)([sent[3].id, sent[4].id, sent[17].id], once=True)
        assert all(receipt.taken for receipt in publisher.send(sent))
        assert [each.id for each in self._arrived(arrived)] == sorted(each.id for each in sent)

    def test_a_lasting_refusal_is_told_of_its_message_alone(
        self, publisher: Publisher, arrived: Arrived, request: Any
    ) -> None:
        """What is refused for good has an error in its receipt; everything else arrives once."""
        sent = changes(25)
        self._refuse(request)([sent[3].id, sent[17].id], once=False)
        receipts = publisher.send(sent)
        assert [receipt.id for receipt in receipts] == [each.id for each in sent]
        assert [at for at, receipt in enumerate(receipts) if not receipt.taken] == [3, 17]
        assert all(isinstance(receipts[at].error, CacheError) for at in (3, 17))
        expected = sorted(each.id for each in sent if each not in (sent[3], sent[17]))
        assert [each.id for each in self._arrived(arrived)] == expected

    def test_a_lasting_refusal_is_not_called_passing(self, publisher: Publisher, request: Any) -> None:
        """An error that a retry cannot mend is no `ProviderUnavailableError`."""
        (message,) = changes(1)
        self._refuse(request)([message.id], once=False)
        (receipt,) = publisher.send([message])
        assert not isinstance(receipt.error, ProviderUnavailableError)

    def _refuse(self, request: Any) -> Refuse:
        if not self.refuses:
            raise unittest.SkipTest("this transport cannot be made to refuse")
        refuse: Refuse = request.getfixturevalue("refuse")
        return refuse

    @staticmethod
    def _arrived(arrived: Arrived) -> list[Message]:
        return sorted(map(decode, arrived()), key=lambda each: each.id)


def _raised(publisher: Publisher, *messages: Message) -> UnpublishedError:
    try:
        publisher.publish(*messages)
    except UnpublishedError as error:
        return error
    raise AssertionError("publish returned, though a message was not taken")
