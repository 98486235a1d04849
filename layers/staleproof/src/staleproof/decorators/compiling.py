"""Functions compiled with a given function's own parameters, so that a call binds defaults and keywords as Python does.

The source that is compiled consists of the parameters' names, which Python has accepted, and of template texts, whose
fields are checked names and whose literals are escaped. Defaults and whatever else is referred to are passed by
reference, under names that begin with `__`, which no parameter may have. The source is registered with `linecache`, so
that tracebacks and debuggers show it.
"""

from __future__ import annotations

import linecache
from inspect import Parameter, Signature
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.errors import ConfigurationError
from staleproof.keys import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from staleproof.decorators.expressions import Expression

T = TypeVar("T")
STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
_numbers = count(1)


def text_renderer(signature: Signature, key: Expression) -> Callable[..., str]:
    """Return a function of *signature*'s parameters that renders *key*."""
    render: Callable[..., str] = _returning(signature, key.source, key.scope)
    return render


def tuple_renderer(signature: Signature, texts: Sequence[Expression]) -> Callable[..., tuple[str, ...]]:
    """Return a function of *signature*'s parameters that renders each of *texts*."""
    render: Callable[..., tuple[str, ...]] = _returning(signature, tuple_source(texts), merged(*texts))
    return render


def call_renderer(
    signature: Signature, key: Expression, tags: Sequence[Expression], make: Callable[..., T]
) -> Callable[..., T]:
    """Return a function of *signature*'s parameters that returns `make(key, tags)`, both rendered."""
    scope = {**merged(key, *tags), "__make": make}
    call: Callable[..., T] = _returning(signature, f"__make({key.source}, {tuple_source(tags)})", scope)
    return call


def calls_renderer(
    signature: Signature,
    each: tuple[str, str],
    key: Expression,
    tags: Sequence[Expression],
    make: Callable[..., T],
) -> Callable[..., list[T]]:
    """Return a function of *signature*'s parameters that returns `make(key, tags)` for every member of one of them.

    Args:
        signature: the function's.
        each: the name that a member has in the expressions, and the parameter's.
        key: over the parameters and a member.
        tags: likewise.
        make: called for every member, in order.
    """
    member, members = each
    source = f"[__make({key.source}, {tuple_source(tags)}) for {member} in {members}]"
    calls: Callable[..., list[T]] = _returning(signature, source, {**merged(key, *tags), "__make": make})
    return calls


def predicate(signature: Signature, condition: Expression) -> Callable[..., bool]:
    """Return a function of *signature*'s parameters that says what *condition* does."""
    says: Callable[..., bool] = _returning(signature, condition.source, condition.scope)
    return says


def merged(*expressions: Expression) -> dict[str, Any]:
    """Return everything that *expressions* refer to."""
    return {name: value for each in expressions for name, value in each.scope.items()}


def tuple_source(texts: Sequence[Expression]) -> str:
    """Return the source of a tuple of *texts*."""
    return "(" + "".join(f"{each.source}, " for each in texts) + ")"


def _returning(signature: Signature, expression: str, scope: Mapping[str, Any]) -> Any:
    source = f"def render({parameters(signature)}):\n    return {expression}\n"
    return compiled(signature, source, "render", scope)


def compiled(signature: Signature, source: str, name: str, scope: Mapping[str, Any]) -> Any:
    """Return the function *name* that *source* defines, whose parameters are those of *signature*."""
    names: dict[str, Any] = {**SCOPE, **scope}
    for parameter in signature.parameters.values():
        if parameter.default is not Parameter.empty:
            names[f"__default_{parameter.name}"] = parameter.default
    filename = f"<staleproof {name} {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), names)  # noqa: S102 - see the module's docstring
    return names[name]


def parameters(signature: Signature) -> str:
    """Return *signature*'s parameters as source, their defaults by reference."""
    return ", ".join(_parameters(signature))


def arguments(signature: Signature) -> str:
    """Return as source what passes *signature*'s parameters on."""
    return ", ".join(map(argument, signature.parameters.values()))


def argument(parameter: Parameter) -> str:
    """Return as source what passes *parameter* on."""
    if parameter.kind is Parameter.KEYWORD_ONLY:
        return f"{parameter.name}={parameter.name}"
    return f"{STARS.get(parameter.kind, '')}{parameter.name}"


def _parameters(signature: Signature) -> Iterator[str]:
    every = list(signature.parameters.values())
    for at, parameter in enumerate(every):
        if parameter.name.startswith("__"):
            raise ConfigurationError(
                f"the parameter {parameter.name!r} begins with '__'; give it another name"
            )
        if parameter.kind is Parameter.KEYWORD_ONLY and not _starred(every[:at]):
            yield "*"
        default = f"=__default_{parameter.name}" if parameter.default is not Parameter.empty else ""
        yield f"{STARS.get(parameter.kind, '')}{parameter.name}{default}"
        if parameter.kind is Parameter.POSITIONAL_ONLY and not _positional_only(every[at + 1 :]):
            yield "/"


def _starred(before: Sequence[Parameter]) -> bool:
    return any(each.kind in {Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY} for each in before)


def _positional_only(after: Sequence[Parameter]) -> bool:
    return bool(after) and after[0].kind is Parameter.POSITIONAL_ONLY
