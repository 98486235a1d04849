"""What a rule makes stale: tags and keys from the old row and the new one.

A template whose attribute is missing in a row gives nothing for that row: a flight without a gate concerns no gate.
That is different from a row that the stream does not tell (its view type leaves it out): then something stale may
go unnamed, and `Targets.lacking` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.errors import ConfigurationError, MalformedEventError
from staleproof_pipeline.bounds import MAX_ROW_VERSION
from staleproof_pipeline.change import Operation
from staleproof_pipeline.errors import FieldError
from staleproof_pipeline.rules.paths import HEADS, MISSING, find, is_bare, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from staleproof.keys import Template
    from staleproof_pipeline.change import ChangeEvent
    from staleproof_pipeline.rules.model import Rule

_TOLD_BY = {
    Operation.INSERT: frozenset({"new"}),
    Operation.MODIFY: frozenset({"old", "new"}),
    Operation.REMOVE: frozenset({"old"}),
    Operation.OTHER: frozenset[str](),
}


class Targets(NamedTuple):
    """What one rule makes stale by one change.

    Attributes:
        rule: the rule's name.
        namespace: where, or None for the deployment's own.
        tags: tag texts, each once.
        keys: key texts, each once.
        row_version: the row's version after the change, or None.
        lag_ms: how long loads of older rows are not stored.
        lacking: what the rule needs and the source did not tell; something stale may be missing here.
    """

    rule: str
    namespace: str | None
    tags: tuple[str, ...]
    keys: tuple[str, ...]
    row_version: int | None
    lag_ms: int
    lacking: tuple[str, ...]


def derive(rule: Rule, change: ChangeEvent) -> Targets:
    """Return what *rule* makes stale by *change*, which it matches.

    Raises:
        MalformedEventError: an attribute has no text (a list, a set, a map), or nothing can be derived because the
            stream leaves out the row that the rule needs.
    """
    tags, keys = (_rendered(templates, change) for templates in rule.templates)
    lacking = tuple(_lacking(rule, change))
    if lacking and not tags and not keys:
        raise MalformedEventError(
            f"rule {rule.name!r} needs {', '.join(lacking)} of {change.entity!r}, which its stream does not tell; set "
            "StreamViewType to NEW_AND_OLD_IMAGES, or derive from {keys.…}"
        )
    row_version = _row_version(rule, change)
    return Targets(
        rule.name,
        rule.namespace,
        tags,
        keys,
        row_version,
        rule.lag_ms if row_version is not None else 0,
        lacking,
    )


def _rendered(templates: Sequence[Template], change: ChangeEvent) -> tuple[str, ...]:
    texts = [_text(each, scope.names) for scope in scopes(change) for each in templates]
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _text(template: Template, names: Mapping[str, Any]) -> str | None:
    if any(find(field, names) is MISSING for field in template.fields):
        return None
    try:
        text = template.render(names)
        text.encode()
    except ConfigurationError as error:
        raise FieldError(f"template {template.source!r}: {error}", template.source) from error
    except UnicodeEncodeError as error:
        raise FieldError(
            f"template {template.source!r}: {error}; write Unicode text", template.source
        ) from error
    return text


def _lacking(rule: Rule, change: ChangeEvent) -> Iterator[str]:
    missing = _TOLD_BY[change.operation] - change.images
    if not missing:
        return
    fields = [field for kind in rule.templates for template in kind for field in template.fields]
    for field in dict.fromkeys(fields):
        head = field.partition(".")[0]
        if head in missing or (is_bare(field) and find(field, change.keys) is MISSING):
            yield f"{{{field}}}"


def _row_version(rule: Rule, change: ChangeEvent) -> int | None:
    """The version after the change. A removal leaves no row: then one more than the last, so that it is older too.

    A value that is no version costs the fence against lagging replicas, never the invalidation.
    """
    if rule.row_version is None:
        return None
    bare = is_bare(rule.row_version)
    paths = [f"new.{rule.row_version}", f"old.{rule.row_version}"] if bare else [rule.row_version]
    rows = {"new": change.new, "old": change.old, "keys": change.keys}
    value = next((found for path in paths if (found := find(path, rows)) is not MISSING), None)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    version = value + 1 if bare and change.new is None else value
    return version if 0 <= version <= MAX_ROW_VERSION else None


__all__ = ["HEADS", "Targets", "derive"]
