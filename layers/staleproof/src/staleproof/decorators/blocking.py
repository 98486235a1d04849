"""What a blocking cache offers to decorate functions with, and the blocks in which invalidations wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from staleproof.cache.blocking import BlockingOperations
from staleproof.decorators.options import Eviction, Options, decorated_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from staleproof.cache.cached import Decorator
    from staleproof.cache.cached_many import ManyDecorator
    from staleproof.codecs import CodecFactory
    from staleproof.decorators.options import Key, Keys, PutTiming, Timing
    from staleproof.decorators.transactions import BlockingTransaction, Registrar
    from staleproof.policies.duration import Duration
    from staleproof.policies.policy import Policy

F = TypeVar("F", bound="Callable[..., Any]")
C = TypeVar("C", bound=type)


class BlockingDecorators(BlockingOperations):
    """The decorators. Whatever is wrong with one is a `ConfigurationError` at decoration, which names function and fix.

    A *key* is a template over the parameters (`staleproof.keys.template`), a function that takes some of them by name
    and returns the key, or None for the function's name and a digest of all its arguments.
    """

    def cacheable(
        self,
        key: Key = None,
        *,
        tags: Sequence[str] | None = None,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | str | None = None,
        when: Callable[..., bool] | None = None,
        unless: Callable[[Any], bool] | None = None,
        provider: str | None = None,
        codec: CodecFactory | None = None,
    ) -> Decorator:
        """Cache a function's results.

        Args:
            key: such as `"product:{product_id}"`; `{user.id}` reads an attribute.
            tags: templates of the tags known before the load.
            tags_from: tags that only the result names.
            row_version: the version of the source row behind the result, for sources that may lag.
            policy: how to keep results: an object, or the name of one; the cache's own by default.
            when: takes some of the parameters by name; where it says no, the function is called without the cache.
            unless: takes the result; where it says yes, that is served and not stored.
            provider: the name of another of the cache's providers.
            codec: how results are written; as the cache writes them by default.

        Raises:
            ConfigurationError: at decoration, if a template names an unknown parameter, the result's type cannot be
                cached, or the function is a coroutine function.
        """
        told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec)
        return cast("Decorator", _decorator("CACHEABLE", self, told))

    def cacheable_many(
        self,
        key: str,
        *,
        each: str | None = None,
        tags: Sequence[str] | None = None,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | str | None = None,
        when: Callable[..., bool] | None = None,
        unless: Callable[[Any], bool] | None = None,
        provider: str | None = None,
        codec: CodecFactory | None = None,
    ) -> ManyDecorator:
        """Cache a function from a list of ids to a dict, id by id; it is called with the missing ids alone.

        Args:
            key: names one member of the list, such as `"product:{product_id}"` for a parameter `product_ids`.
            each: the parameter that is the list, if it is not the plural of what the templates name.
            tags: see `cacheable`; they may name a member of the list, too.
            tags_from: takes one value of the dict, as do *row_version* and *unless*.
            row_version: see `cacheable`.
            policy: see `cacheable`.
            when: see `cacheable`.
            unless: see `cacheable`.
            provider: see `cacheable`.
            codec: see `cacheable`.
        """
        told = Options(key, tags, tags_from, row_version, policy, when, unless, provider, codec, each)
        return cast("ManyDecorator", _decorator("MANY", self, told))

    def cache_put(
        self,
        key: Key = None,
        *,
        tags: Sequence[str] | None = None,
        tags_from: Callable[[Any], Iterable[str]] | None = None,
        row_version: Callable[[Any], int | None] | None = None,
        policy: Policy | str | None = None,
        when: Callable[..., bool] | None = None,
        unless: Callable[[Any], bool] | None = None,
        timing: PutTiming = "after",
        provider: str | None = None,
        codec: CodecFactory | None = None,
    ) -> Callable[[F], F]:
        """Run a function always, and store what it returns.

        Args:
            key: may name the result, too: `"order:{result.id}"`; the rest as for `cacheable`.
            tags: may name the result.
            tags_from: see `cacheable`.
            row_version: see `cacheable`.
            policy: see `cacheable`.
            when: may take the `result`, too; where it says no, nothing is stored.
            unless: see `cacheable`.
            timing: `"commit"` stores when the transaction around it has committed.
            provider: see `cacheable`.
            codec: see `cacheable`.
        """
        told = Options(
            key, tags, tags_from, row_version, policy, when, unless, provider, codec, timing=timing
        )
        return cast("Callable[[F], F]", _decorator("PUT", self, told))

    def evicts(
        self,
        key: Keys = None,
        *,
        tags: Sequence[str] = (),
        soft: bool = False,
        when: Callable[..., bool] | None = None,
        timing: Timing = "after",
        all: bool = False,  # noqa: A002 - as one says it
        row_version: Callable[[Any], int | None] | None = None,
        lag: Duration = 0,
        provider: str | None = None,
    ) -> Callable[[F], F]:
        """Invalidate what a function changes.

        Args:
            key: one or a list. `{result.id}` reads the function's result. `key=product.key` is the key of another
                cached function, if this one has its parameters.
            tags: templates, likewise.
            soft: old values may be served while new ones are loaded, by policies that say so.
            when: takes some of the parameters, and the `result`, by name; where it says no, nothing is invalidated.
            timing: `"after"` the function has returned, `"before"` it runs, or at the `"commit"` of the transaction
                around it, see `transaction`.
            all: the whole namespace.
            row_version: takes the result, returns the source row's version after the change.
            lag: how long replicas of the source may lag.
            provider: the name of another of the cache's providers.
        """
        told = Eviction(key, tags, soft, when, timing, all, row_version, lag, provider)
        return cast("Callable[[F], F]", _decorator("EVICTS", self, told))

    def defaults(
        self, *, prefix: str = "", tags: Sequence[str] | None = None, policy: Policy | str | None = None
    ) -> Callable[[C], C]:
        """Decorate a class: what its methods' decorators of this cache do not name, they take from here.

        Args:
            prefix: a template that goes before every key, of `evicts` too, with a ':' behind it.
            tags: for methods that name none; templates over each one's parameters. Not for `evicts`.
            policy: for methods that name none.
        """

        def decorate(cls: C) -> C:
            from staleproof.decorators.recipes import with_defaults  # noqa: PLC0415 - as in `_decorator`

            with_defaults(cls, self, Options(tags=tags, policy=policy, prefix=prefix))
            return cls

        return decorate

    def transaction(self, *, commit_with: Registrar | None = None) -> BlockingTransaction:
        """Return a block that collects the invalidations of `evicts(timing="commit")`, and applies them as one.

        It applies them when it ends well, and none if it raises. A block within another one belongs to that.

        Args:
            commit_with: is given, at the end of the block, the function that applies them, to call it after the commit:
                `transaction.on_commit` of a web framework, for one.
        """
        from staleproof.decorators.transactions import BlockingTransaction  # noqa: PLC0415 - as in `_decorator`

        return BlockingTransaction(self, commit_with, awaited=False)

    def register(self, name: str, *, replace: bool = False) -> Self:
        """Let functions find this cache by *name*: `staleproof.cacheable(..., cache=name)`. Return it.

        Raises:
            ConfigurationError: another one is called so, and *replace* is not said.
        """
        from staleproof.decorators import registry  # noqa: PLC0415 - as in `_decorator`

        registry.register(self, name, awaited=False, replace=replace)
        return self

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the cache that was registered as *name*.

        Raises:
            ConfigurationError: there is none; the text lists those that there are.
        """
        from staleproof.decorators import registry  # noqa: PLC0415 - as in `_decorator`

        found: Self = registry.find(name, awaited=False)
        return found


def _decorator(kind: str, cache: BlockingDecorators, told: Options | Eviction) -> Any:
    def decorate(*given: Any, **named: Any) -> Any:
        function = decorated_one(told, given, named)
        # Not at the top: an application that decorates nothing does not wait for it at a cold start.
        from staleproof.decorators import kinds, recipes  # noqa: PLC0415

        return recipes.decorated(getattr(kinds, kind), cache, function, told, awaited=False)

    return decorate
