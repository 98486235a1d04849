"""What a server may lack, and how finely it measures time: a contract then leaves out or slows down the laws concerned.

class TestMine(ProviderContract):
    lacks = {"scan", "evict"}
    finest = 1.0                # it keeps things for whole seconds
"""

from __future__ import annotations

import functools
import unittest
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Ability: TypeAlias = Literal["evict", "idle", "journal", "large", "row fences", "scan", "soft"]
"""One of:

* `evict`: the test can remove single things behind the provider's back;
* `idle`: what nobody reads goes after the time that its policy says, and no later;
* `journal`: applied invalidations can be read again, in order;
* `large`: values of a megabyte, and thousands of things in one call;
* `row fences`: an invalidation's row version is kept for as long as its lag;
* `scan`: keys can be listed;
* `soft`: what is invalidated softly stays, as stale.
"""

Law = TypeVar("Law", bound="Callable[..., None]")


class Able:
    """A contract's base: what the provider under test lacks, and its finest step of time.

    Attributes:
        lacks: abilities whose laws are left out.
        finest: seconds; lives that a test waits for are two of these, and it waits for three.
    """

    lacks: ClassVar[Collection[Ability]] = ()
    finest: ClassVar[float] = 0.02

    @property
    def brief_ms(self) -> int:
        """A life, in milliseconds, that is over after `over`."""
        return round(2_000 * self.finest)

    @property
    def brief(self) -> float:
        """The same in seconds."""
        return 2 * self.finest

    @property
    def over(self) -> float:
        """Seconds after which a brief life is over."""
        return 3 * self.finest


def needs(*abilities: Ability) -> Callable[[Law], Law]:
    """Leave a law out where the provider under test lacks one of *abilities*."""

    def decorate(law: Law) -> Law:
        @functools.wraps(law)
        def checked(self: Able, *args: Any, **kwargs: Any) -> None:
            missing = [ability for ability in abilities if ability in self.lacks]
            if missing:
                raise unittest.SkipTest(f"this provider lacks: {', '.join(missing)}")
            law(self, *args, **kwargs)

        return cast("Law", checked)

    return decorate
