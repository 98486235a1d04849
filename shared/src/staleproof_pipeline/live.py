"""The rules of a deployment, from where its settings say: a file, the Parameter Store, S3, or the settings alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK
from staleproof.errors import ConfigurationError
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.reload import FileText, LiveRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof.clock import Clock
    from staleproof_pipeline.deferral import Deferrer
    from staleproof_pipeline.observer import Observer
    from staleproof_pipeline.rules.reload import RulesText
    from staleproof_pipeline.rules.ruleset import Rules, Ruleset
    from staleproof_pipeline.settings import Settings

    Client = Callable[[str, str], Any]

PARAMETER = "ssm:"
OBJECT = "s3://"


def rules(
    settings: Settings,
    client: Client,
    deferrer: Deferrer | None,
    observer: Observer,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Rules:
    """Return the rules of a deployment; those that lie elsewhere follow what is written there.

    Args:
        settings: say where they are.
        client: makes an AWS client of a service in a region.
        deferrer: keeps what rules put off; without one, rules that do are refused.
        observer: hears of changes and refusals.
        clock: the source of time.

    Raises:
        ConfigurationError: the settings name none; or those in the settings are wrong.
    """

    def check(found: Ruleset) -> None:
        if deferrer is None and found.needs_deferral:
            raise ConfigurationError(
                f"rules {', '.join(found.needs_deferral[:20])} have 'delay' or 'coalesce', and nothing keeps what they "
                "put off; set STALEPROOF_DEFERRAL_QUEUE_URL to a standard SQS queue, or STALEPROOF_DEFERRAL_SET where "
                "workers run"
            )

    if settings.rules_text:
        found = loader.loads(settings.rules_text, "STALEPROOF_RULES_TEXT")
        check(found)
        return found
    return LiveRules(
        text(settings, client),
        interval=settings.rules_interval,
        check=check,
        told=observer.reloaded,
        clock=clock,
    )


def namespaces(settings: Settings, client: Client) -> frozenset[str]:
    """Return the namespaces that the rules name, none where no rules are set."""
    if settings.rules_text:
        return loader.loads(settings.rules_text, "STALEPROOF_RULES_TEXT").namespaces
    return LiveRules(text(settings, client)).current().namespaces if settings.rules else frozenset()


def text(settings: Settings, client: Client) -> RulesText:
    """Return where the rules are kept.

    Raises:
        ConfigurationError: `rules` is not set, or names no object of a bucket.
    """
    place = settings.require("rules")
    if not place.startswith((PARAMETER, OBJECT)):
        return FileText(place)
    return stored(place, settings.region, client, "rules")


def stored(place: str, region: str, client: Client, field: str) -> RulesText:
    """Return the text at *place* in AWS, `ssm:/NAME` or `s3://BUCKET/KEY`, which the setting *field* names.

    Raises:
        ConfigurationError: *place* names no object of a bucket.
    """
    from staleproof_pipeline.rule_texts import ObjectText, ParameterText  # noqa: PLC0415 - few need AWS for it

    if place.startswith(PARAMETER):
        return ParameterText(partial(client, "ssm", region), place.removeprefix(PARAMETER), field)
    bucket, _, key = place.removeprefix(OBJECT).partition("/")
    if not bucket or not key:
        raise ConfigurationError(
            f"STALEPROOF_{field.upper()}={place[:80]!r} names no object; write s3://BUCKET/KEY"
        )
    return ObjectText(partial(client, "s3", region), bucket, key, field)
