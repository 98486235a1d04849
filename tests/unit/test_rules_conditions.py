"""Which changes a rule means, what it derives from lists, and why it does not fire."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import ConfigurationError, MalformedEventError, OversizedEventError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.rules import loader
from staleproof_pipeline.rules.derive import MAX_FAN_OUT
from staleproof_pipeline.rules.explain import explain
from staleproof_pipeline.rules.match import matches, mismatch

OLD = {"id": 1, "status": "open", "home": {"city": "Bonn"}, "price": 5}
NEW = {"id": 1, "status": "sent", "home": {"city": "Bonn"}, "price": 7}


def change(**fields: Any) -> ChangeEvent:
    """A modification of an order, but for *fields*."""
    given_fields = {
        "id": "e1",
        "source": Source.DYNAMODB,
        "entity": "Orders",
        "operation": Operation.MODIFY,
        "keys": {"id": 1},
        "old": OLD,
        "new": NEW,
        "region": "eu-west-1",
        **fields,
    }
    return ChangeEvent.of(**given_fields)


def ruleset(body: str) -> Any:
    """The rules of a file with one rule called r."""
    return loader.loads(f"version: 1\nrules:\n  - {{name: r, {body}}}\n", "rules.yaml")


def fires(when: str, of: ChangeEvent) -> bool:
    rules = ruleset(f"when: {{{when}}}, tags: [x]")
    fired = bool(rules.targets(of))
    assert bool(explain(rules, of).fired) is fired  # the explanation never says otherwise
    return fired


@pytest.mark.parametrize(
    ("when", "of", "expected"),
    [
        ("table: Orders, new: {status: sent}", change(), True),
        ("table: Orders, new: {status: [shipped, sent]}", change(), True),
        ("table: Orders, new: {status: open}", change(), False),
        ("table: Orders, old: {status: open}, new: {status: sent}", change(), True),
        ("table: Orders, new: {home.city: Bonn}", change(), True),
        ("table: Orders, new: {home: {city: {prefix: Bo}}}", change(), True),
        ("table: Orders, new: {price: {numeric: ['>', 6]}}", change(), True),
        ("table: Orders, new: {gone: {exists: false}}", change(), True),
        ("table: Orders, keys: {id: [1, 2]}", change(), True),
        ("table: Orders, keys: {id: '1'}", change(), False),
        ("table: Orders, new: {$or: [{price: 1}, {status: sent}]}", change(), True),
        # A row that was not there has no attributes; one that the source does not tell may have any.
        ("table: Orders, old: {status: open}", change(operation=Operation.INSERT, old=None), False),
        ("table: Orders, old: {status: {exists: false}}", change(operation=Operation.INSERT, old=None), True),
        ("table: Orders, old: {status: closed}", change(old=None, images=frozenset({"new"})), True),
        ("table: Orders, new: {status: sent}", change(operation=Operation.REMOVE, new=None), False),
        (
            "table: Orders, new: {status: sent}",
            change(operation=Operation.REMOVE, new=None, images=frozenset()),
            False,
        ),
        ("table: Orders, operation: [insert, modify]", change(), True),
        ("table: Orders, operation: remove", change(), False),
        ("table: Orders, region: 'eu-*'", change(), True),
        ("table: Orders, region: [us-east-1]", change(), False),
        ("table: Orders, expired: true", change(expired=True), True),
        ("table: Orders, expired: false", change(expired=True), False),
        ("table: Orders, expired: true", change(), False),
        ("table: Orders, replayed: false, snapshot: false", change(replayed=True), False),
        ("entity: 'Ord*'", change(), True),
        ("entity: Orders, table: Other", change(), True),
        ("entity: Other", change(), False),
        ("source: kafka, channel: 'shop.*'", change(source=Source.KAFKA, channel="shop.orders"), True),
        ("source: kafka, channel: 'shop.*'", change(source=Source.KAFKA, channel="other"), False),
        ("source: kafka, table: Orders", change(source=Source.KAFKA), True),
        ("source: s3, entity: bucket", change(source=Source.S3, entity="bucket"), True),
        ("source: redis-stream, entity: Orders", change(), False),
        ("source: application, channel: jobs, entity: Orders", change(source=Source.APPLICATION), False),
        ("table: Orders, pattern: {new: {status: [sent]}, operation: [modify]}", change(), True),
        ("table: Orders, pattern: {$or: [{expired: [true]}, {region: [{prefix: eu-}]}]}", change(), True),
        ("table: Orders, pattern: {old: {price: [{numeric: ['>', 10]}]}}", change(), False),
        (
            "table: Orders, pattern: {old: {price: [{numeric: ['>', 10]}]}}",
            change(old=None, images=frozenset({"new"})),
            True,
        ),
    ],
)
def test_a_condition_means_what_it_says(when: str, of: ChangeEvent, expected: bool) -> None:
    """Every condition, where it holds and where it does not; in doubt, a change is meant."""
    assert fires(when, of) is expected


def test_a_pattern_of_an_event_has_the_events_own_names() -> None:
    """Of a bus's event, `detail` and `detail-type` are what they are there, and `source` is who sent it."""
    event = change(
        source=Source.EVENTBRIDGE,
        entity="Order Placed",
        channel="com.shop",
        operation=Operation.OTHER,
        old=None,
        images=frozenset({"new"}),
    )
    pattern = "{source: [com.shop], detail-type: [Order Placed], detail: {status: [sent]}}"

    assert fires(f"source: eventbridge, detail_type: '*', pattern: {pattern}", event)


@pytest.mark.parametrize(
    ("when", "of", "condition", "why"),
    [
        ("source: kafka, table: Orders", change(), "source", "it is for kafka, and this comes from dynamodb"),
        ("table: [A, B]", change(), "table", "it is about A, B, and this is 'Orders'"),
        ("entity: A", change(), "entity", "it is about A, and this is 'Orders'"),
        (
            "source: kafka, channel: a",
            change(source=Source.KAFKA, channel="b"),
            "channel",
            "it listens to a, and this came by 'b'",
        ),
        (
            "table: Orders, operation: [insert, remove]",
            change(),
            "operation",
            "it is modify, not insert or remove",
        ),
        ("table: Orders, expired: true", change(), "expired", "it is not expired"),
        ("table: Orders, expired: false", change(expired=True), "expired", "it is expired"),
        ("table: Orders, region: us-*", change(), "region", "it happened in 'eu-west-1', not ['us-*']"),
        ("table: Orders, changed: [home, id]", change(), "changed", "nothing of home, id differs"),
        (
            "table: Orders, new: {status: open, price: 7}",
            change(),
            "new.status",
            "new.status is 'sent', wanted ['open']",
        ),
        ("table: Orders, old: {gone: 1}", change(), "old.gone", "old.gone is not there, wanted [1]"),
        ("table: Orders, pattern: {id: [x]}", change(), "pattern", "does not match the whole pattern"),
    ],
)
def test_the_first_condition_that_fails_is_named(
    when: str, of: ChangeEvent, condition: str, why: str
) -> None:
    """A rule that does not fire says by which condition, what was wanted and what is there."""
    (verdict,) = explain(ruleset(f"when: {{{when}}}, tags: [x]"), of).verdicts

    assert (verdict.fired, verdict.condition) == (False, condition)
    assert why in verdict.why


def tags(body: str, of: ChangeEvent) -> list[str]:
    return [tag for each in ruleset(f"when: {{table: Orders}}, {body}").targets(of) for tag in each.tags]


@pytest.mark.parametrize(
    ("new", "body", "expected"),
    [
        ({"items": [{"sku": "a"}, {"sku": "b"}]}, "each: items, tags: ['p:{each.sku}']", ["p:a", "p:b"]),
        ({"items": []}, "each: items, tags: ['p:{each.sku}']", []),
        ({}, "each: items, tags: ['p:{each.sku}']", []),
        ({"items": None}, "each: items, tags: ['p:{each.sku}']", []),
        ({"items": [{"sku": "a"}, {"no": 1}]}, "each: items, tags: ['p:{each.sku}']", ["p:a"]),
        ({"items": frozenset({"y", "x"})}, "each: items, tags: ['p:{each}']", ["p:x", "p:y"]),
        ({"items": ["x", "x", 7]}, "each: items, tags: ['p:{each}']", ["p:x", "p:7"]),
        ({"items": "x"}, "each: items, tags: ['p:{each}']", ["p:x"]),
        (
            {"items": {"de": 1, "fr": 2}},
            "each: items, tags: ['p:{each.key}:{each.value}']",
            ["p:de:1", "p:fr:2"],
        ),
        ({"cart": {"items": [{"sku": "a"}]}}, "each: cart.items, tags: ['p:{each.sku}']", ["p:a"]),
        (
            {"orders": [{"lines": [{"sku": "a"}]}, {"lines": [{"sku": "b"}]}]},
            "each: orders.lines, tags: ['p:{each.sku}']",
            ["p:a", "p:b"],
        ),
        (
            {"items": [{"sku": "A"}], "t": "z"},
            "each: items, tags: ['p:{each.sku:lower}:{t}', 'all']",
            ["p:a:z", "all"],
        ),
        ({"items": [{"sku": "a"}]}, "each: new.items, tags: ['p:{each.sku}']", ["p:a"]),
        ({"each": "x"}, "tags: ['p:{each}']", ["p:x"]),
    ],
)
def test_a_list_gives_a_tag_an_element(new: dict[str, Any], body: str, expected: list[str]) -> None:
    """Lists, sets, maps and lone values have elements; missing and empty ones have none."""
    assert tags(body, change(operation=Operation.INSERT, old=None, new=new)) == expected


def test_elements_that_went_fall_too() -> None:
    """What was in the list before and what is in it now both change."""
    moved = change(old={"items": ["a", "b"]}, new={"items": ["b", "c"]})

    assert sorted(tags("each: items, tags: ['p:{each}']", moved)) == ["p:a", "p:b", "p:c"]


def test_a_list_is_bounded() -> None:
    """What names more than a journal should is refused whole, so that it is kept, and not cut."""
    large = change(new={"items": list(range(MAX_FAN_OUT + 1))})
    with pytest.raises(OversizedEventError, match="items has 10001 elements"):
        tags("each: items, tags: ['p:{each}']", large)

    assert (
        len(tags("each: new.items, tags: ['p:{each}']", change(new={"items": list(range(MAX_FAN_OUT))})))
        == 10_000
    )


def test_a_list_of_lists_has_no_texts() -> None:
    """An element without a text is told with the template."""
    with pytest.raises(MalformedEventError, match=r"p:\{each\}"):
        tags("each: items, tags: ['p:{each}']", change(new={"items": [["a"]]}))


def test_a_list_that_is_not_told_is_lacking() -> None:
    """A keys-only stream cannot say what was in the list, and that is told."""
    untold = change(old=None, new=None, images=frozenset())
    with pytest.raises(MalformedEventError, match=r"needs \{items\} of 'Orders'"):
        tags("each: items, tags: ['p:{each.sku}']", untold)


def test_a_template_under_a_condition_is_rendered_when_it_holds() -> None:
    """The rule fires, and one of its tags falls only if that tag's own condition holds."""
    body = "tags: ['o:{id}', {template: 'paid:{id}', when: {changed: [status], new: {status: paid}}}]"

    assert tags(body, change()) == ["o:1"]
    assert tags(body, change(new={**NEW, "status": "paid"})) == ["o:1", "paid:1"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            "when: {table: F, new: {a: [{prefx: x}]}}, tags: [a]",
            "rules.yaml:3: rules[0].when.new.a[0]: there is no operator 'prefx'",
        ),
        ("when: {table: F, pattern: {nw: {a: [1]}}}, tags: [a]", "did you mean 'new'?"),
        ("when: {table: F, pattern: {new: {a: 1}}}, tags: [a]", "rules[0].when.pattern.new.a: "),
        ("when: {table: F, new: {}}, tags: [a]", "rules[0].when.new: the pattern is empty"),
        ("when: {source: s3}, tags: [a]", "a rule for s3 needs 'entity' or 'channel'"),
        ("when: {source: s3, table: F}, tags: [a]", "'table' is for sources dynamodb and kafka"),
        (
            "when: {source: eventbridge, detail_type: D, old: {a: 1}}, tags: [a]",
            "'old' is not for source eventbridge",
        ),
        (
            "when: {table: F}, tags: [a], each: items",
            "'each' names 'items', and no template names its elements",
        ),
        ("when: {table: F}, tags: [a], throttle: 1s", "did you mean 'coalesce'?"),
        ("when: {table: F, topic: x}, tags: [a]", "did you mean 'channel'?"),
        ("when: {table: F}, tags: [{template: 'a:{b'}]", "rules[0].tags[0].template: template 'a:{b'"),
        (
            "when: {table: F}, tags: [{template: a, wen: {}}]",
            "rules[0].tags[0].wen: unknown field; did you mean 'when'?",
        ),
        (
            "when: {table: F}, tags: [{template: a, when: {tble: x}}]",
            "rules[0].tags[0].when.tble: unknown field",
        ),
        ("when: {table: F}, tags: [a], delay: 1h", "'1h' is not within 1ms and 15m"),
        ("when: {table: F}, tags: [a], delay: 0s", "'0s' is not within"),
        ("when: {table: F}, tags: [a], coalesce: 5m", "'5m' is not within 1ms and 1m"),
        ("when: {table: F}, tags: [a], coalesce: 1s, delay: 1s", "remove 'delay', or 'coalesce'"),
        ("when: {table: F}, tags: [a], coalesce: 1s, row_version: v, lag: 1s", "give one of both"),
        ("when: {table: F}, tags: [a], warm: true", "write warm: 'product:{id}'"),
        ("when: {table: F}, tags: [a], warm: ['{b']", "rules[0].warm[0]: template '{b'"),
        ("when: {table: F}, clear: true, row_version: v, lag: 1s", "'clear' forgets the whole namespace"),
        ("when: {table: F}", "a rule needs 'tags' or 'keys'"),
    ],
)
def test_a_mistake_in_a_rule_is_told_at_its_place(rule: str, told: str) -> None:
    """Mistakes deep in a condition have the line and the path of the very matcher."""
    with pytest.raises(ConfigurationError) as caught:
        ruleset(rule)
    assert told in str(caught.value)


def test_a_mistake_in_a_pattern_has_its_own_line() -> None:
    """The line is that of the matcher, not of the rule around it."""
    text = (
        "version: 1\nrules:\n  - name: r\n    tags: [a]\n    when:\n      table: F\n      new:\n        a: [x]\n"
        "        b:\n          - y\n          - nope: 1\n"
    )
    with pytest.raises(
        ConfigurationError, match=r"^rules.yaml:11: rules\[0\].when.new.b\[1\]: there is no operator"
    ):
        loader.loads(text, "rules.yaml")


rows = st.none() | st.dictionaries(
    st.sampled_from(["id", "status", "price", "home", "items"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        max_leaves=5,
    ),
)
changes = st.builds(
    change,
    operation=st.sampled_from(Operation),
    old=rows,
    new=rows,
    images=st.frozensets(st.sampled_from(["old", "new"])),
    source=st.sampled_from(Source),
    expired=st.booleans(),
)
WHENS = [
    "table: Orders, changed: [status, home.city], new: {price: {numeric: ['>', 1]}}",
    "table: Orders, old: {items: {sku: [a, {exists: false}]}}, expired: false",
    "table: Orders, pattern: {$or: [{new: {a: [1]}}, {old: {a: [{anything-but: 1}]}}]}",
    "source: kafka, entity: '*', keys: {id: {anything-but: {prefix: x}}}",
]


@given(st.sampled_from(WHENS), changes)
def test_matching_is_pure_and_total(when: str, of: ChangeEvent) -> None:
    """Any rule and any change: it fires or names what fails, and says the same again."""
    found = ruleset(f"when: {{{when}}}, tags: [x]").file.rules[0].when
    before = of.model_copy(deep=True)
    answer = mismatch(found, of)

    assert answer == mismatch(found, of)
    assert of == before or "nan" in repr(of)
    if answer is None:
        assert matches(found, of)
    else:
        assert all(answer)


def test_keys_that_a_source_does_not_tell_meet_every_condition() -> None:
    """In doubt a change is invalidated, as where a row is not told."""
    keyless = change(keys={}, source=Source.KAFKA)

    assert fires("source: kafka, table: Orders, keys: {tenant: acme}", keyless)
    assert not fires("table: Orders, keys: {tenant: acme}", change(keys={"tenant": "globex"}))


def test_dates_meet_the_texts_that_templates_make_of_them() -> None:
    """A day of a database is a date, and a rules file can only write its text."""
    of = change(new={"day": date(2026, 1, 31), "at": datetime(2026, 1, 31, 12, tzinfo=UTC)})

    assert fires("table: Orders, new: {day: '2026-01-31'}", of)
    assert fires("table: Orders, new: {at: {prefix: '2026-01-31T12'}}", of)
    assert not fires("table: Orders, new: {day: '2026-02-01'}", of)


def test_a_number_is_met_whatever_its_scale() -> None:
    """A column of two decimals writes 12.50, of which YAML keeps 12.5; 300 is still not 300.0."""
    of = change(new={"price": Decimal("12.50"), "total": Decimal("300.00"), "count": 300})

    assert fires("table: Orders, new: {price: 12.50}", of)
    assert fires("table: Orders, new: {total: 300.0}", of)
    assert not fires("table: Orders, new: {total: 300}", of)
    assert not fires("table: Orders, new: {count: 300.0}", of)


def test_an_explanation_tells_what_falls_beside_what_cannot() -> None:
    """As in the pipeline: the error is told, and the rest falls."""
    told = explain(
        ruleset("when: {table: Orders}, tags: ['x:{bad}', 'y:{good}']"), change(new={"bad": [], "good": 1})
    )

    assert "a key field cannot be made of list" in told.error
    assert [tag for each in told.invalidations for tag in each.tags] == ["y:1"]
