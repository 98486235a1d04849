"""Templates compiled into functions with a given function's own parameters.

The source that is compiled consists of the parameters' names, which Python has accepted, and of template texts, whose
fields are checked names and whose literals are escaped. Defaults are passed by reference, never as text.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof.keys import attribute, template, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def text_renderer(signature: Signature, source: str) -> Callable[..., str]:
    """Return a function of *signature*'s parameters that renders the template *source*."""
    render: Callable[..., str] = _compiled(signature, _expression(signature, source))
    return render


def list_renderer(signature: Signature, sources: Sequence[str]) -> Callable[..., list[str]]:
    """Return a function of *signature*'s parameters that renders each of *sources*."""
    expressions = ", ".join(_expression(signature, source) for source in sources)
    render: Callable[..., list[str]] = _compiled(signature, f"[{expressions}]")
    return render


def _expression(signature: Signature, source: str) -> str:
    parsed = template(source)
    parsed.check(frozenset(signature.parameters))
    for field in parsed.fields:
        parameter = signature.parameters[field.partition(".")[0]]
        if parameter.kind in _STARS:
            raise ConfigurationError(
                f"template {source!r}: {parameter.name!r} takes any number of values; name a plain parameter"
            )
    return parsed.expression()


def _compiled(signature: Signature, expression: str) -> Any:
    scope: dict[str, Any] = {"_text": text, "_attribute": attribute}
    for name, parameter in signature.parameters.items():
        if parameter.default is not Parameter.empty:
            scope[f"_default_{name}"] = parameter.default
    return eval(f"lambda {', '.join(_parameters(signature))}: {expression}", scope)  # noqa: S307 - see the docstring


def _parameters(signature: Signature) -> Iterator[str]:
    parameters = list(signature.parameters.values())
    kinds = [parameter.kind for parameter in parameters]
    for at, parameter in enumerate(parameters):
        if parameter.kind is Parameter.KEYWORD_ONLY and not {
            Parameter.VAR_POSITIONAL,
            Parameter.KEYWORD_ONLY,
        } & set(kinds[:at]):
            yield "*"
        default = f"=_default_{parameter.name}" if parameter.default is not Parameter.empty else ""
        yield f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}"
        last_positional = at + 1 == len(kinds) or kinds[at + 1] is not Parameter.POSITIONAL_ONLY
        if parameter.kind is Parameter.POSITIONAL_ONLY and last_positional:
            yield "/"
