"""Schemas of Kafka's topics, from where a deployment keeps them: what is wrong is told by file and subject, at once."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from staleproof.cli.program import program
from staleproof.errors import ConfigurationError, MalformedEventError
from staleproof_pipeline import bootstrap, kafka_reading
from staleproof_pipeline.change import ChangeEvent
from staleproof_pipeline.dead_letter import MemoryDeadLetters
from staleproof_pipeline.settings import Settings
from staleproof_pipeline.sources import kafka, subjects
from tests.unit.avro_records import SCHEMAS, event, record

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
version: 1
rules:
  - {name: logged, when: {source: kafka, table: products}, tags: ["product:{id}"]}
examples:
  - {name: a price, given: {file: event.json}, expect: {rules: [logged], tags: ["product:a1"]}}
"""


def written(folder: Path, text: str, name: str = "schemas.json") -> str:
    """The path of a file with *text*."""
    path = folder / name
    path.write_text(text)
    return str(path)


def settings(place: str, **more: Any) -> Settings:
    """Settings whose schemas lie at *place*."""
    told = {"cache_url": "memory://", "namespace": "shop", "region": "eu-west-1", "rules_text": RULES}
    return Settings.model_validate({**told, "kafka_schemas": place, **more})


def no_client(service: str, region: str) -> Any:
    """Nobody needs AWS here."""
    raise AssertionError(service + region)


# --- where they lie ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "yaml", "folder"])
def test_a_file_and_a_folder_say_the_same(tmp_path: Path, kind: str) -> None:
    """JSON, YAML, and a file a schema: the topic is read alike."""
    if kind == "folder":
        for subject, schema in SCHEMAS.items():
            written(tmp_path, json.dumps(schema), f"{subject}.avsc")
        written(tmp_path, "what else lies there is no schema", "README.md")
        place = str(tmp_path)
    elif kind == "json":
        place = written(tmp_path, json.dumps(SCHEMAS))
    else:
        fields = "[{name: id, type: string}, {name: price, type: [null, long]}]"
        text = f"products-value:\n  type: record\n  name: Product\n  fields: {fields}\n"
        text += "products-key: {type: record, name: Key, fields: [{name: id, type: string}]}\n"
        place = written(tmp_path, text.replace("[null,", "['null',"), "schemas.yaml")

    reading = kafka_reading.reading(settings(place, kafka_tombstones="always"), no_client)

    assert (sorted(reading.schemas), reading.tombstones) == (sorted(SCHEMAS), "always")
    change = kafka.parse(record(1, "a1"), reading)
    assert isinstance(change, ChangeEvent)
    assert (change.keys, change.new) == ({"id": "a1"}, {"id": "a1", "price": 5})


class Store:
    """Both services that keep texts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[Any] = []

    def get_parameter(self, **asked: Any) -> Any:
        """The Parameter Store's."""
        self.asked.append(asked["Name"])
        return {"Parameter": {"Version": 1, "Value": self.text}}

    def get_object(self, **asked: Any) -> Any:
        """S3's."""
        self.asked.append((asked["Bucket"], asked["Key"]))
        return {"Body": io.BytesIO(self.text.encode()), "ETag": "1"}


@pytest.mark.parametrize(
    ("place", "service", "asked"),
    [("ssm:/shop/schemas", "ssm", "/shop/schemas"), ("s3://b/k.json", "s3", ("b", "k.json"))],
)
def test_aws_keeps_them_too(place: str, service: str, asked: Any) -> None:
    """A parameter, or an object, of this region."""
    store, made = Store(json.dumps(SCHEMAS)), []

    def client(*told: str) -> Any:
        made.append(told)
        return store

    assert sorted(kafka_reading.reading(settings(place), client).schemas) == sorted(SCHEMAS)
    assert (made, store.asked) == ([(service, "eu-west-1")], [asked])
    store.text = '{"products-value": {"type": "recrd"}}'
    with pytest.raises(ConfigurationError, match=f"{place}: products-value: 'recrd' is no type"):
        kafka_reading.reading(settings(place), client)


def test_a_place_that_names_no_object_is_told() -> None:
    """By the variable, the value and the fix."""
    with pytest.raises(ConfigurationError, match="STALEPROOF_KAFKA_SCHEMAS='s3://b' names no object; write"):
        kafka_reading.reading(settings("s3://b"), no_client)


def test_a_topic_may_change_from_json_to_avro() -> None:
    """While some producers write JSON still, both are read; what is neither is malformed."""
    reading = kafka.Reading(subjects.loads(json.dumps(SCHEMAS), "f"))
    plain = {**record(1, "a1"), "value": b64encode(b'{"id": "a1", "price": 5}').decode()}
    broken = {**plain, "value": b64encode(b'{"id": "a1", ').decode()}

    for each in (plain, record(2, "a1")):
        change = kafka.parse(each, reading)
        assert isinstance(change, ChangeEvent)
        assert change.new == {"id": "a1", "price": 5}
    with pytest.raises(MalformedEventError, match="Avro"):
        kafka.parse(broken, reading)


# --- what is wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"products-value": {"type": "recrd"}}', "schemas.json: products-value: 'recrd' is no type; write an"),
        ('{"products": "string"}', "schemas.json: 'products' is no subject; name it TOPIC-value or TOPIC-key"),
        ('{"a-value": "string",\n "b-value": {,}}', "schemas.json:2: no JSON: "),
        ('{"a-value": "string", "a-value": "long"}', "schemas.json: 'a-value' is given twice; keep one"),
        ("a-value: string\na-value: long\n", "schemas.json:2: 'a-value' is given twice; keep one"),
        ("a-value: [string\n", "schemas.json:2: YAML: "),
        ("[]", "schemas.json: it holds no schemas; write an object"),
        ("{}", "schemas.json: it holds no schemas; write an object"),
        ("", "schemas.json: it holds no schemas; write an object"),
        ('{"a-value": ' + "[" * 60_000, "schemas.json: "),
        ("a-value: " + "[" * 5_000, "schemas.json:1: nested deeper than 100"),
        ('{"a-value": ' + "[" * 90 + '"long"' + "]" * 90 + "}", "schemas.json: a-value: nested deeper than 64"),
        (json.dumps({"a-value": {"type": "long", "doc": "x" * 262_144}}), "schemas.json: larger than 262144 bytes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_load(tmp_path: Path, text: str, told: str) -> None:
    """With the file, and the line or the subject; nothing starts with it."""
    place = written(tmp_path, text)

    with pytest.raises(ConfigurationError) as caught:
        bootstrap.pipeline(settings(place), dead_letters=MemoryDeadLetters())

    assert told in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """One line a mistake, and an end to it."""
    found = {f"t{number}-value": {"type": "nothing"} for number in range(50)}

    with pytest.raises(ConfigurationError) as caught:
        kafka_reading.of_path(written(tmp_path, json.dumps(found)))

    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (21, "… and 30 more")


def test_a_folder_is_told_by_its_files(tmp_path: Path) -> None:
    """An empty one, one with a wrong file, one that is too large, and none at all."""
    with pytest.raises(
        ConfigurationError, match=r"it has no schemas; put files there such as TOPIC-value\.avsc"
    ):
        kafka_reading.of_path(tmp_path)
    path = written(tmp_path, '{"type": "recrd"}', "products-value.avsc")
    with pytest.raises(ConfigurationError, match=f"{path}: products-value: 'recrd' is no type"):
        kafka_reading.of_path(tmp_path)
    for number in range(3):
        written(tmp_path, json.dumps({"type": "long", "doc": "x" * 100_000}), f"t{number}-value.avsc")
    with pytest.raises(ConfigurationError, match="larger than 262144 bytes"):
        kafka_reading.of_path(tmp_path)
    with pytest.raises(ConfigurationError, match=r"nowhere: No such file .*STALEPROOF_KAFKA_SCHEMAS"):
        kafka_reading.of_path(tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b'{"a-value": "\xe9"}')
    with pytest.raises(ConfigurationError, match=r"latin: .*; save the file as UTF-8"):
        kafka_reading.of_path(tmp_path / "latin")
    with pytest.raises(ConfigurationError, match="null byte"):
        kafka_reading.of_path("a\0b")


SOME = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["long", "record", "enum", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "symbols", "size", "namespace"]), inner
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a-value", "b-key", "c"]), SOME, min_size=1))
def test_whatever_stands_there_is_schemas_or_an_error(found: Any) -> None:
    """Nothing but a `ConfigurationError` comes out of a file that is wrong."""
    told = fault(json.dumps(found))
    assert told == "" or told.startswith("f: ")


def fault(text: str) -> str:
    """What is wrong with the schemas in *text*, or ""."""
    try:
        subjects.loads(text, "f")
    except ConfigurationError as error:
        return str(error)
    return ""


# --- who reads by them ------------------------------------------------------------------------------------------


def test_the_rules_of_a_file_are_tested_with_them(tmp_path: Path) -> None:
    """`rules test`, `coverage` and `explain` read events as the pipeline would, and say where a schema is wrong."""
    rules, schemas = written(tmp_path, RULES, "rules.yaml"), written(tmp_path, json.dumps(SCHEMAS))
    told = written(tmp_path, json.dumps(event(record(1, "a1"), record(2, "a2", gone=True))), "event.json")
    one = written(tmp_path, json.dumps(record(1, "a1")), "record.json")
    text = (tmp_path / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text.replace("file: event.json", "file: event.json, record: 0"))
    run = CliRunner().invoke

    assert run(program, ["rules", "test", rules]).exit_code == 1
    assert run(program, ["rules", "test", rules, "--kafka-schemas", schemas]).exit_code == 0
    assert (
        run(program, ["rules", "coverage", rules, told, "--kafka-schemas", schemas, "--min", "100"]).exit_code
        == 0
    )
    for path, tags in ((told, {"product:a1", "product:a2"}), (one, {"product:a1"})):
        shown = run(program, ["rules", "explain", rules, path, "--kafka-schemas", schemas, "--json"])
        assert {
            tag for each in json.loads(shown.output) for made in each["invalidations"] for tag in made["tags"]
        } == tags
    wrong = written(tmp_path, '{"a-value": {"type": "recrd"}}', "wrong.json")
    refused = run(program, ["rules", "test", rules, "--kafka-schemas", wrong])
    assert refused.exit_code == 2
    assert "wrong.json: a-value: 'recrd' is no type" in refused.output
