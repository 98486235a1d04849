"""How a deployment's Kafka topics are read: `STALEPROOF_KAFKA_SCHEMAS` and `STALEPROOF_KAFKA_TOMBSTONES`.

=========================  =================================================================
place of the schemas       what lies there
=========================  =================================================================
path of a file             an object of schemas by subject, see `sources.subjects`
path of a folder           a file a schema, called `TOPIC-value.avsc` or `TOPIC-key.avsc`
`ssm:/NAME`                like a file; may be compressed as rules may be, see `rule_texts`
`s3://BUCKET/KEY`          likewise
=========================  =================================================================

They are read once, when the process starts: whoever has schemas that are wrong does not start, and takes no record.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from staleproof.errors import ConfigurationError
from staleproof_pipeline import live
from staleproof_pipeline.sources import kafka, subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from staleproof_pipeline.settings import Settings
    from staleproof_pipeline.sources.avro import Schema

    Client = Callable[[str, str], Any]

FIELD = "kafka_schemas"
SUFFIX = ".avsc"


def reading(settings: Settings, client: Client) -> kafka.Reading:
    """Return how *settings* say that topics are read.

    Args:
        settings: say where the schemas are.
        client: makes an AWS client of a service in a region, if they lie there.

    Raises:
        ConfigurationError: there are no schemas where they should be, or one is wrong.
        ProviderUnavailableError: AWS is away; retry.
    """
    place = settings.kafka_schemas
    return kafka.Reading(_schemas(place, settings, client) if place else {}, settings.kafka_tombstones)


def of_path(path: str | Path) -> Mapping[str, Schema]:
    """Return the schemas in the file or the folder at *path*, by subject.

    Raises:
        ConfigurationError: it cannot be read, or a schema in it is wrong.
    """
    folder = Path(path)
    if not folder.is_dir():
        return subjects.loads(_text(folder), str(path))
    files = sorted(each for each in folder.iterdir() if each.suffix == SUFFIX)
    if not files:
        raise ConfigurationError(f"{path}: it has no schemas; put files there such as TOPIC-value{SUFFIX}")
    texts = {each: _text(each) for each in files}
    subjects.check_size(sum(map(len, texts.values())), str(path))
    return subjects.compiled(
        (each.stem, subjects.json_of(text, str(each)), str(each)) for each, text in texts.items()
    )


def _schemas(place: str, settings: Settings, client: Client) -> Mapping[str, Schema]:
    if not place.startswith((live.PARAMETER, live.OBJECT)):
        return of_path(place)
    found = live.stored(place, settings.region, client, FIELD).fetch("")
    return subjects.loads(found.text if found else "", place)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(subjects.MAX_BYTES + 1)
        subjects.check_size(len(raw), str(path))
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: {error.reason}; save the file as UTF-8") from error
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        shown = str(path).replace("\0", "\\0")
        raise ConfigurationError(
            f"Kafka schemas {shown}: {getattr(error, 'strerror', None) or error}; name a readable file or folder "
            "(STALEPROOF_KAFKA_SCHEMAS)"
        ) from error
