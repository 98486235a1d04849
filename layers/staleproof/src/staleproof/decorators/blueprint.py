"""`Shape` and `Blueprint`: what decoration found out about one function, and how its arguments make a `Call`.

A shape needs no cache: templates are checked when the module is imported, also where the cache is named and made later.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any

from staleproof.cache.call import Call, Habit
from staleproof.decorators import compiling
from staleproof.decorators.colour import name_of
from staleproof.decorators.expressions import call_expression, key_expression, tag_expressions
from staleproof.decorators.memos import Calls
from staleproof.decorators.results import UnresolvedError, result_type
from staleproof.errors import ConfigurationError
from staleproof.policies.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.cache.face import Face
    from staleproof.cache.near import Copy
    from staleproof.codecs.codec import Codec
    from staleproof.decorators.options import Options


UNKNOWN: Any = object()


class Shape:
    """A function and how it is to be cached, checked as far as it can be without a cache.

    Args:
        function: the decorated function.
        options: what its decorator was told.

    Raises:
        ConfigurationError: a template names an unknown parameter, or the result's type cannot be cached.
    """

    owner: type | None = None

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        self.function = function
        self.options = options
        try:
            self.signature = inspect.signature(function)
            self.scope = self.see(self.signature)
            self.key_source = key_expression(self.scope, function, options.key, options.prefix)
            self.tag_sources = tag_expressions(self.scope, options.tags or ())
            self.key = compiling.text_renderer(self.scope, self.key_source)
            self.tags = compiling.tuple_renderer(self.scope, self.tag_sources)
            self.when = self._condition(options.when)
            self.kind = self._kind_if_known()
        except ConfigurationError as error:
            raise ConfigurationError(f"{name_of(function)}: {error}") from error.__cause__

    def _condition(self, when: Callable[..., bool] | None) -> Callable[..., bool] | None:
        if when is None:
            return None
        scope = self.conditional(self.signature)
        return compiling.predicate(scope, call_expression(scope, when, "when"))

    def see(self, signature: inspect.Signature) -> inspect.Signature:
        """Return *signature* with whatever else keys and tags may name."""
        return signature

    def conditional(self, signature: inspect.Signature) -> inspect.Signature:
        """Return *signature* with whatever else `when` may name."""
        return signature

    def stored(self, function: Callable[..., Any]) -> Any:
        """Return the type of what is stored."""
        return result_type(function, self.owner)

    def _kind_if_known(self) -> Any:
        try:
            return self.stored(self.function)
        except UnresolvedError:  # a class that is not defined yet; see `results`
            return UNKNOWN

    def resolve(self) -> Any:
        """Return the type of what is stored, which must be there by now."""
        if self.kind is UNKNOWN:
            self.kind = self.stored(self.function)
        return self.kind

    @property
    def tags_follow_from_key(self) -> bool:
        """Whether calls with one key have the same tags: the hit path looks at the key alone."""
        return all(self.key_source.decides(tag) for tag in self.tag_sources)


class Blueprint:
    """A shape over a cache: makes calls, and follows the policy that its options name.

    Attributes:
        policy: how results are kept now.
        shelf: where the function's near copies are found by key alone; or None.
        remembered: calls made under the policy, if `remember` was asked for them; or None. Replaced with the policy, so
            that what was made just before under the old one is not found after.
        call: takes the arguments and returns the `Call`.
    """

    def __init__(self, face: Face, shape: Shape) -> None:
        self.face = face
        self.shape = shape
        self.habit = Habit()
        self.shelf: dict[str, Copy] | None = {} if shape.tags_follow_from_key else None
        told = shape.options
        self._kept = (told.tags_from, told.row_version, self.shelf, told.unless, self.habit)
        self.call = compiling.call_renderer(shape.scope, shape.key_source, shape.tag_sources, self.make)
        self._call_of: Callable[[Any], Call] | None = None
        self.remembered: Calls | None = None
        self.policy: Policy
        self._listeners: list[Callable[[], None]] = []
        try:
            self._follow()
            self.codec = None if shape.kind is UNKNOWN else self._codec()
        except ConfigurationError as error:
            raise ConfigurationError(f"{name_of(shape.function)}: {error}") from error.__cause__
        if self.follows:
            face.on_policies(self._follow)

    @property
    def follows(self) -> bool:
        """Whether the policy is the settings' to replace."""
        return not isinstance(self.shape.options.policy, Policy)

    def make(self, key: str, tags: tuple[str, ...]) -> Call:
        """Return the call of *key*."""
        codec = self.codec
        if codec is None:
            codec = self._resolved()
        return Call(key, tags, self.policy, codec, *self._kept)

    def remember(self) -> str | None:
        """Have calls remembered; return the one parameter that decides their key and tags, or None: it is not alone."""
        key = self.shape.key_source
        if key.single is None or not self.shape.tags_follow_from_key:
            return None
        head = key.single[0]
        if self._call_of is None:
            alone = inspect.Signature([inspect.Parameter(head, inspect.Parameter.POSITIONAL_OR_KEYWORD)])
            self._call_of = compiling.call_renderer(alone, key, self.shape.tag_sources, self.make)
            self.remembered = Calls(self._call_of)
        return head

    def _codec(self) -> Codec[Any]:
        return (self.shape.options.codec or self.face).codec_for(self.shape.resolve())

    def _resolved(self) -> Codec[Any]:
        """Return the codec of a type that was not there at decoration."""
        try:
            self.codec = codec = self._codec()
        except ConfigurationError as error:
            raise ConfigurationError(f"{name_of(self.shape.function)}: {error}") from error.__cause__
        return codec

    def stand_in(self, owner: type) -> None:
        """Take note of the class that the function stands in, which alone may know what its annotation names."""
        if self.shape.owner is None:
            self.shape.owner = owner

    def owned_key(self) -> Callable[..., str]:
        """Return what renders keys, with word of whose it is, for those who evict by it."""
        render = self.shape.key

        def key(*args: Any, **kwargs: Any) -> str:
            return render(*args, **kwargs)

        functools.update_wrapper(key, render)
        key.__staleproof_owner__ = weakref.ref(self.face), name_of(self.shape.function)  # type: ignore[attr-defined]
        return key

    def on_policy(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever the policy has been replaced."""
        self._listeners.append(listener)

    def _follow(self) -> None:
        self.policy = self.face.policy_of(self.shape.options.policy)
        self.remembered = None if self._call_of is None else Calls(self._call_of)
        for listener in self._listeners:
            listener()
