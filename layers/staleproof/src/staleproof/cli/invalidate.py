"""`staleproof invalidate`: forgets tags and keys, or a whole namespace, straight on the configured cache."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from staleproof.config import Settings
from staleproof.errors import ConfigurationError
from staleproof.events import Cause
from staleproof.faces.blocking import Cache

if TYPE_CHECKING:
    from staleproof.events import Invalidation

SOURCE = "command line"

EXAMPLES = """\b
Examples:
  staleproof invalidate catalog product:42
  staleproof invalidate --key product:42 --soft
  staleproof invalidate catalog --url redis://127.0.0.1:6379/0 --namespace shop --region eu-west-1
  staleproof invalidate --clear --yes
\b
The cache is the one that Cache.from_env() would take here; options go before its settings. The invalidation is in
the journal when the command returns, from where near caches learn of it, and the peers of its region.
\b
Exit code 0: it is done; 1: it was not acknowledged, do it again; 2: something must be mended first.
"""


@click.command("invalidate", epilog=EXAMPLES)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("--key", "keys", multiple=True, help="A key to forget; repeat it.")
@click.option("--clear", is_flag=True, help="Forget the whole namespace.")
@click.option("--soft", is_flag=True, help="What is forgotten may be served stale while it is loaded anew.")
@click.option(
    "--row-version", type=int, help="The source row's version after the change, if replicas may lag."
)
@click.option("--lag", help="How long replicas of the source may lag, such as 2s.")
@click.option("--namespace", help="The namespace, as STALEPROOF_NAMESPACE names it.")
@click.option("--url", help="The cache's address, as STALEPROOF_CACHE_URL names it.")
@click.option("--region", help="The region that it begins in, as STALEPROOF_REGION names it.")
@click.option("--stage", help="Stage whose parameters are read, as STALEPROOF_STAGE names it.")
@click.option("--dry-run", is_flag=True, help="Check and print the invalidation; do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line.")
@click.option("--yes", is_flag=True, help="With --clear: do not ask.")
@click.pass_context
def command(
    context: click.Context, /, *, tags: tuple[str, ...], as_json: bool, dry_run: bool, **given: Any
) -> None:
    """Forget every TAG and key: when this returns, no later read sees what was loaded before."""
    if not tags and not given["keys"] and not given["clear"]:
        raise click.UsageError("nothing is named; give tags, --key, or --clear for the whole namespace")
    settings = _settings(given)
    cache = Cache.from_settings(settings)
    try:
        record = _record(cache, tags, given)
        if given["clear"] and not dry_run:
            _confirm(settings, yes=given["yes"])
        began = time.perf_counter()
        if not dry_run:
            cache.apply(record)
        _tell(record, settings, dry_run=dry_run, as_json=as_json, seconds=time.perf_counter() - began)
    finally:
        cache.close()
    context.exit(0)


def _settings(given: dict[str, Any]) -> Settings:
    names = {"url": "cache_url", "namespace": "namespace", "region": "region", "stage": "stage"}
    told = {setting: given[name] for name, setting in names.items() if given[name] is not None}
    # What a person asks for is done or told: nothing outlives the command that could do it later.
    settings = Settings.from_env(**told, unreachable="raise")
    if settings.server.url.reveal().startswith("memory://"):
        raise ConfigurationError(
            f"{settings.origin('cache_url')}: memory:// lives within one process, and not in this one; give --url"
        )
    return settings


def _record(cache: Cache, tags: tuple[str, ...], given: dict[str, Any]) -> Invalidation:
    record = cache.invalidation(
        tags,
        given["keys"],
        clear=given["clear"],
        soft=given["soft"],
        row_version=given["row_version"],
        lag=given["lag"] or 0,
    )
    return replace(record, cause=Cause(source=SOURCE))


def _confirm(settings: Settings, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("--clear forgets the whole namespace; say --yes where nobody can be asked")
    click.confirm(f"Forget everything in namespace {settings.server.namespace!r}?", abort=True, err=True)


def _tell(record: Invalidation, settings: Settings, *, dry_run: bool, as_json: bool, seconds: float) -> None:
    if as_json:
        told = {
            "id": record.id,
            "namespace": record.namespace,
            "region": record.origin,
            "tags": record.tags,
            "keys": record.keys,
            "clear": record.clear,
            "soft": record.soft,
            "row_version": record.row_version,
            "lag_ms": record.lag_ms,
            "dry_run": dry_run,
            "applied": not dry_run,
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(told, indent=2))
        return
    if settings.origin("region") == "default":
        click.echo("note: it begins in no known region, so no peer will get it; give --region", err=True)
    counts = [f"{len(record.tags)} tags"] * bool(record.tags) + [f"{len(record.keys)} keys"] * bool(
        record.keys
    )
    named = "everything" if record.clear else " and ".join(counts)
    done = "would forget" if dry_run else "forgot"
    softly = ", softly" if record.soft else ""
    click.echo(f"{settings.server.namespace}: {done} {named}{softly}; event {record.id}")
