"""Templates and hit paths, compiled with a given function's own parameters.

The source that is compiled consists of the parameters' names, which Python has accepted, and of template texts, whose
fields are checked names and whose literals are escaped. Defaults are passed by reference, never as text. The source is
registered with `linecache`, so that tracebacks and debuggers show it.
"""

from __future__ import annotations

import linecache
from inspect import Parameter, Signature
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.errors import ConfigurationError
from staleproof.keys import SCOPE, Template, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")
_STARS: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
_numbers = count(1)

MAX_KEYS = 8_192
"""Keys that a function's hit path remembers at most, each of at most `MAX_REMEMBERED` characters."""

MAX_REMEMBERED = 128

# `NearCache.get`, unrolled: the library's hottest path. `shown` is read before the copy is looked up,
# see "order of reads" in `staleproof.cache.near`.
_HIT_PATH = """\
{kind} {name}({parameters}):
    __synced = __near.shown
    __now = __monotonic()
    if __now - __synced[0] <= __staleness and (__wall_now := __wall()) - __synced[1] <= __staleness:
        __copy = __look_up({key})
        if __copy is not None and __now < __copy.monotonic_deadline and __wall_now < __copy.wall_deadline:
            __copy.used = True
            __statistics.near_hits += 1
            return __copy.value
    return {wait}__serve({arguments})
"""


def text_renderer(signature: Signature, source: str) -> Callable[..., str]:
    """Return a function of *signature*'s parameters that renders the template *source*."""
    render: Callable[..., str] = _renderer(signature, _expression(signature, source))
    return render


def tuple_renderer(signature: Signature, sources: Sequence[str]) -> Callable[..., tuple[str, ...]]:
    """Return a function of *signature*'s parameters that renders each of *sources*."""
    expressions = "".join(f"{_expression(signature, source)}, " for source in sources)
    render: Callable[..., tuple[str, ...]] = _renderer(signature, f"({expressions})")
    return render


def call_renderer(
    signature: Signature, key: str, tags: Sequence[str], make: Callable[..., T]
) -> Callable[..., T]:
    """Return a function of *signature*'s parameters that returns `make(key, tags)`, both rendered."""
    rendered = "".join(f"{_expression(signature, tag)}, " for tag in tags)
    parameters = ", ".join(_parameters(signature))
    source = f"def call({parameters}):\n    return __make({_expression(signature, key)}, ({rendered}))\n"
    call: Callable[..., T] = _compiled(signature, source, "call", {"__make": make})
    return call


def hit_path(
    signature: Signature, key: str, name: str, scope: Mapping[str, Any], *, awaits: bool
) -> Callable[..., Any]:
    """Return a function of *signature*'s parameters that answers from the near cache, or else asks `serve`.

    Args:
        signature: the decorated function's.
        key: the key's template.
        name: the decorated function's name, for tracebacks.
        scope: `near`, `monotonic`, `wall`, `staleness`, `look_up`, `statistics`, `serve`.
        awaits: whether `serve` is a coroutine function.
    """
    named = name if name.isidentifier() else "cached"  # a lambda is called "<lambda>"
    source = _HIT_PATH.format(
        kind="async def" if awaits else "def",
        wait="await " if awaits else "",
        name=named,
        parameters=", ".join(_parameters(signature)),
        arguments=", ".join(_arguments(signature)),
        key=_remembered(signature, key),
    )
    names = {"__keys": _Keys(template(key)), **{f"__{each}": value for each, value in scope.items()}}
    wrapper: Callable[..., Any] = _compiled(signature, source, named, names)
    return wrapper


class _Keys(dict[Any, str]):
    """Keys of a template with one field, by the field's value, an `int` or a `str`: a look-up costs half a rendering.

    When full it forgets everything, which needs no lock.
    """

    __slots__ = ("_template",)

    def __init__(self, source: Template) -> None:
        super().__init__()
        self._template = source

    def __missing__(self, value: Any) -> str:
        key = self._template.render({self._template.fields[0]: value})
        if len(self) >= MAX_KEYS:
            self.clear()
        if len(key) <= MAX_REMEMBERED:
            self[value] = key
        return key


def _remembered(signature: Signature, source: str) -> str:
    rendered = _expression(signature, source)
    holes = template(source).holes
    if len(holes) != 1 or holes[0].rest or holes[0].ambient:
        return rendered
    head = holes[0].head
    # By exact type: `True` equals 1 in a dictionary, and renders otherwise.
    return f"__keys[{head}] if __type({head}) in __plain else {rendered}"


def _renderer(signature: Signature, expression: str) -> Any:
    source = f"def render({', '.join(_parameters(signature))}):\n    return {expression}\n"
    return _compiled(signature, source, "render", {})


def _expression(signature: Signature, source: str) -> str:
    parsed = template(source)
    parsed.check(frozenset(signature.parameters))
    for field in parsed.holes:
        parameter = None if field.ambient else signature.parameters[field.head]
        if parameter is not None and parameter.kind in _STARS:
            raise ConfigurationError(
                f"template {source!r}: {parameter.name!r} takes any number of values; name a plain parameter"
            )
    return parsed.expression()


def _compiled(signature: Signature, source: str, name: str, names: Mapping[str, Any]) -> Any:
    scope: dict[str, Any] = {**SCOPE, **names}
    for parameter in signature.parameters.values():
        if parameter.default is not Parameter.empty:
            scope[f"__default_{parameter.name}"] = parameter.default
    filename = f"<staleproof {name} {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), scope)  # noqa: S102 - see the module's docstring
    return scope[name]


def _parameters(signature: Signature) -> Iterator[str]:
    parameters = list(signature.parameters.values())
    for at, parameter in enumerate(parameters):
        if parameter.name.startswith("__"):
            raise ConfigurationError(
                f"the parameter {parameter.name!r} begins with '__'; give it another name"
            )
        if parameter.kind is Parameter.KEYWORD_ONLY and not _starred(parameters[:at]):
            yield "*"
        default = f"=__default_{parameter.name}" if parameter.default is not Parameter.empty else ""
        yield f"{_STARS.get(parameter.kind, '')}{parameter.name}{default}"
        if parameter.kind is Parameter.POSITIONAL_ONLY and not _positional_only(parameters[at + 1 :]):
            yield "/"


def _starred(before: Sequence[Parameter]) -> bool:
    return any(each.kind in {Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY} for each in before)


def _positional_only(after: Sequence[Parameter]) -> bool:
    return bool(after) and after[0].kind is Parameter.POSITIONAL_ONLY


def _arguments(signature: Signature) -> Iterator[str]:
    for parameter in signature.parameters.values():
        if parameter.kind is Parameter.KEYWORD_ONLY:
            yield f"{parameter.name}={parameter.name}"
        else:
            yield f"{_STARS.get(parameter.kind, '')}{parameter.name}"
