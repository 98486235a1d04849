"""`Membership`: runs the steps of the algorithm under the ring as it is now. No I/O here, see `settlement`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.memcached.settlement import TRIES, Settlement, Talk
from staleproof.providers.memcached.view import UnknownNodeError, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.providers.memcached.rounds import Step
    from staleproof.providers.memcached.settlement import Running

R = TypeVar("R")


class Membership(Settlement):
    """The ring of one namespace, seen by one client. Safe to share among threads: a view is replaced as a whole.

    For the arguments see `Settlement`.
    """

    def run(self, step: Callable[[View], Step[R]]) -> Running[R]:
        """Run *step* under a view that every node concerned confirms after it.

        Raises:
            ProviderUnavailableError: a node cannot be asked, or the ring kept changing.
        """
        for _ in range(TRIES):
            view = yield from self._current()
            try:
                done, result = yield from self._confirmed(view, step(view))
            except UnknownNodeError as error:
                view = yield from self.settle()
                if error.node in view.members and error.node not in view.lines:
                    raise self.unreached(error.node, changing=False) from error
                continue
            if done:
                return result  # type: ignore[return-value]
            self.doubt(view)
        raise ProviderUnavailableError("memcached: the ring of nodes kept changing; retry")

    def _current(self) -> Running[View]:
        """Return the view; the list of nodes is asked for again at a use: a frozen process has no threads."""
        view, listing = self.view, self.listing
        if view is not None and self.is_due():
            yield from self.ask()
            if self.listing is not listing:
                view = None
        return (yield from self.settle()) if view is None else view

    def _confirmed(self, view: View, step: Step[R]) -> Running[tuple[bool, R | None]]:
        """Run *step*, each exchange with a node ending in a look at its charter."""
        answers: Any = None
        while True:
            try:
                requests = step.send(answers)
            except StopIteration as end:
                return True, end.value
            members, look = view.members, self.look
            answers = yield Talk({members[node]: [*some, look] for node, some in requests.items()})
            for node, replies in answers.items():
                if replies.pop().line != view.lines[node]:
                    step.close()
                    return False, None
