"""What decorators are told, as Python expressions over the decorated function's parameters, checked at decoration.

A key is a template, a function that takes some of the parameters by name, or nothing: then it is the function's name
and a digest of its arguments (`staleproof.keys.canonical`).
"""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from staleproof.decorators.compiling import STARS, arguments
from staleproof.errors import ConfigurationError
from staleproof.keys import Field, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

RESULT = "result"
"""How templates and conditions of what runs after a function call its result."""


_UNNAMED = "_the_result"


class Expression(NamedTuple):
    """Python source over a function's parameters, and what else it refers to.

    Attributes:
        source: the expression.
        scope: names beside the parameters, all beginning with `__`.
        holes: the template's fields; none, if it is no template.
        whole: whether it is made of the arguments whole.
        single: if it is made of one parameter alone and of nothing else: the parameter, and what renders its value.
    """

    source: str
    scope: Mapping[str, Any]
    holes: frozenset[Field] = frozenset()
    whole: bool = False
    single: tuple[str, Callable[[Any], str]] | None = None

    def decides(self, other: Expression) -> bool:
        """Say whether what *other* renders follows from what this renders."""
        if self.whole:  # of an object the digest may leave something out, of what renders by itself nothing
            return all(hole.bare for hole in other.holes)
        return {replace(hole, slot=False) for hole in other.holes} <= {
            replace(hole, slot=False) for hole in self.holes
        }


def with_result(signature: Signature, *, there: bool = True) -> Signature:
    """Return *signature* with one more parameter in front, for the result: called so if it is *there* to be named."""
    taken = signature.parameters
    name = RESULT if there and RESULT not in taken else _UNNAMED
    while name in taken:
        name += "_"
    first = Parameter(name, Parameter.POSITIONAL_ONLY)
    return signature.replace(parameters=[first, *taken.values()])


def check_result(signature: Signature, texts: Sequence[Any], *, there: bool) -> None:
    """Raise `ConfigurationError` if a template among *texts* names the result, and it is not *there* or ambiguous."""
    holes = [hole for text in texts if isinstance(text, str) for hole in template(text).holes]
    if not any(hole.head == RESULT and not hole.ambient for hole in holes):
        return
    if RESULT in signature.parameters:
        raise ConfigurationError(
            "a parameter is called 'result', as the function's result is in templates; rename the parameter"
        )
    if not there:
        raise ConfigurationError("{result} is not there yet with timing='before'; name parameters only")


def _names(signature: Signature) -> list[str]:
    return [name for name in signature.parameters if not name.startswith(_UNNAMED)]


def template_expression(signature: Signature, source: str) -> Expression:
    """Return the template *source* over *signature*'s parameters.

    Raises:
        ConfigurationError: it is no template, or names what is no plain parameter.
    """
    parsed = template(source)
    parsed.check(frozenset(_names(signature)))
    for field in parsed.holes:
        parameter = None if field.ambient else signature.parameters[field.head]
        if parameter is not None and parameter.kind in STARS:
            raise ConfigurationError(
                f"template {source!r}: {parameter.name!r} takes any number of values; name a plain parameter"
            )
    single = None
    if len(parsed.holes) == 1 and not parsed.holes[0].rest and not parsed.holes[0].ambient:
        head = parsed.holes[0].head
        single = head, lambda value: parsed.render({head: value})
    return Expression(parsed.expression(), {}, frozenset(parsed.holes), single=single)


def tag_expressions(signature: Signature, tags: Sequence[str]) -> list[Expression]:
    """Return the templates of *tags*.

    Raises:
        ConfigurationError: as for `template_expression`; or a tag has a slot field, or *tags* is one text.
    """
    if isinstance(tags, str):
        raise ConfigurationError(f"tags={tags!r} is one text; write tags=[{tags!r}]")
    for tag in tags:
        if template(tag).slotted:
            raise ConfigurationError(
                f"template {tag!r}: a tag has no slot to choose; remove ':slot' here, keep it in the key"
            )
    return [template_expression(signature, tag) for tag in tags]


def key_expression(
    signature: Signature,
    function: Callable[..., Any],
    key: str | Callable[..., str] | None,
    prefix: str = "",
) -> Expression:
    """Return what makes the key of a call, behind *prefix*, itself a template."""
    if isinstance(key, str):
        return template_expression(signature, f"{prefix}:{key}" if prefix else key)
    made = _digested(signature, function) if key is None else _called_key(signature, key)
    if not prefix:
        return made
    before = template_expression(signature, prefix)
    return made._replace(source=f"{before.source} + ':' + {made.source}", single=None)


def _called_key(signature: Signature, key: Callable[..., str]) -> Expression:
    if not callable(key):
        raise ConfigurationError(
            f"key={key!r} is neither a template, such as 'product:{{id}}', nor a function"
        )
    called = call_expression(signature, key, "key")
    return called._replace(source=f"__as_key({called.source})", scope={**called.scope, "__as_key": _as_key})


def _as_key(made: object) -> str:
    if not isinstance(made, str):
        raise ConfigurationError(f"the key function returned {made!r}; return a text, see `staleproof.key`")
    return made


def _digested(signature: Signature, function: Callable[..., Any]) -> Expression:
    from staleproof.keys.fingerprint import Fingerprint  # noqa: PLC0415 - only keys without a template need it

    names = tuple(signature.parameters)
    fingerprint = Fingerprint(function, names)
    single = (names[0], fingerprint) if len(names) == 1 else None
    values = ", ".join(names)
    return Expression(f"__fingerprint({values})", {"__fingerprint": fingerprint}, whole=True, single=single)


def call_expression(signature: Signature, called: Callable[..., Any], role: str) -> Expression:
    """Return the call of *called*, which is named as *role*, with those of *signature*'s parameters that it names.

    Raises:
        ConfigurationError: it names another parameter, or is a coroutine function.
    """
    if not callable(called):
        raise ConfigurationError(f"{role}={called!r} is no function")
    if inspect.iscoroutinefunction(called):
        raise ConfigurationError(f"{role} is a coroutine function; it must answer at once: write a plain one")
    return Expression(f"__{role}({_passed(signature, called, role)})", {f"__{role}": called})


def _passed(signature: Signature, called: Callable[..., Any], role: str) -> str:
    try:
        wanted = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):  # some builtins do not tell
        return arguments(signature)
    if any(each.kind is Parameter.VAR_POSITIONAL for each in wanted):
        return arguments(signature)
    if any(each.kind is Parameter.VAR_KEYWORD for each in wanted):
        return ", ".join(f"{name}={name}" for name in signature.parameters)
    return ", ".join(_matched(signature, wanted, role))


def _matched(signature: Signature, wanted: Sequence[Parameter], role: str) -> Iterator[str]:
    for each in wanted:
        if each.name in signature.parameters:
            positional = each.kind is Parameter.POSITIONAL_ONLY
            yield each.name if positional else f"{each.name}={each.name}"
        elif each.default is Parameter.empty:
            known = ", ".join(_names(signature)) or "none"
            raise ConfigurationError(
                f"{role} takes {each.name!r}, which is no parameter here; the parameters are: {known}"
            )
