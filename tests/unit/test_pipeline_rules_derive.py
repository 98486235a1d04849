"""What a change makes stale, by the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from staleproof.errors import MalformedEventError
from staleproof_pipeline.change import ChangeEvent, Operation, Source
from staleproof_pipeline.rules import loader

if TYPE_CHECKING:
    from staleproof_pipeline.rules.derive import Targets

ROW = {"id": "f1", "carrier": "UA", "dest": "SFO", "version": 7}
BOTH = frozenset({"old", "new"})


def change(**fields: Any) -> ChangeEvent:
    """A modification of row `f1`, but for *fields*."""
    given = {
        "id": "e1",
        "source": Source.DYNAMODB,
        "entity": "Flights",
        "operation": Operation.MODIFY,
        "keys": {"id": "f1"},
        "old": ROW,
        "new": {**ROW, "version": 8},
        **fields,
    }
    return ChangeEvent.of(**given)


def derived(rule: str, of: ChangeEvent) -> list[Targets]:
    """What one rule, without its name, makes stale by *of*."""
    return loader.loads(f"version: 1\nrules:\n  - {{name: r, {rule}}}\n").targets(of)


def tags(templates: str, of: ChangeEvent) -> list[str]:
    """The tags of one rule for the table."""
    return [
        tag for each in derived(f"when: {{table: Flights}}, tags: [{templates}]", of) for tag in each.tags
    ]


def test_a_bare_name_concerns_the_old_value_and_the_new() -> None:
    """A row that moves from one tag to another makes both stale."""
    moved = change(new={**ROW, "carrier": "AA"})

    assert sorted(tags("'airline:{carrier}'", moved)) == ["airline:AA", "airline:UA"]
    assert tags("'airline:{new.carrier}'", moved) == ["airline:AA"]
    assert tags("'airline:{old.carrier}'", moved) == ["airline:UA"]


def test_a_value_that_stays_gives_one_tag() -> None:
    """The same tag is named once."""
    assert tags("'airline:{carrier}', 'airline:{old.carrier}', 'flight:{keys.id}'", change()) == [
        "airline:UA",
        "flight:f1",
    ]


def test_bare_names_of_one_template_come_from_one_row() -> None:
    """A template never mixes the old row with the new one."""
    moved = change(new={**ROW, "carrier": "AA", "dest": "LAX"})

    assert sorted(tags("'{carrier}:{dest}'", moved)) == ["AA:LAX", "UA:SFO"]


@pytest.mark.parametrize(
    ("template", "of", "expected"),
    [
        ("gate:{gate}", change(), []),
        ("gate:{gate}", change(new={**ROW, "gate": "B1"}), ["gate:B1"]),
        ("carrier:{carrier}", change(operation=Operation.INSERT, old=None), ["carrier:UA"]),
        ("carrier:{carrier}", change(operation=Operation.REMOVE, new=None), ["carrier:UA"]),
        ("old:{old.carrier}", change(operation=Operation.INSERT, old=None), []),
        ("all", change(), ["all"]),
        ("deep:{new.a.b}", change(new={"a": {"b": 1}}), ["deep:1"]),
        ("deep:{new.a.b}", change(new={"a": 1}), []),
        ("none:{gate}", change(new={"gate": None}), ["none:%none"]),
        ("bytes:{raw}", change(new={"raw": b"\x01"}), ["bytes:01"]),
        ("escaped:{carrier}", change(old=None, new={"carrier": "a:b"}), ["escaped:a%3Ab"]),
    ],
)
def test_a_missing_attribute_gives_no_tag(template: str, of: ChangeEvent, expected: list[str]) -> None:
    """A row without the attribute concerns nothing; what is there is rendered as the decorators render it."""
    assert tags(f"'{template}'", of) == expected


@pytest.mark.parametrize("attribute", [["a"], {"a": 1}, frozenset({"a"})])
def test_a_value_without_a_text_is_poison(attribute: Any) -> None:
    """A list, a map or a set makes no tag, and that is told rather than guessed."""
    with pytest.raises(MalformedEventError, match="a key field cannot be made of"):
        tags("'x:{carrier}'", change(new={"carrier": attribute}))


def test_text_that_is_no_unicode_is_poison() -> None:
    """A lone surrogate, which JSON can carry, ends in an error of ours."""
    with pytest.raises(MalformedEventError, match="write Unicode text"):
        tags("'x:{carrier}'", change(new={"carrier": "\ud800"}))


def test_an_attribute_called_like_a_row_does_not_hide_it() -> None:
    """`new`, `old` and `keys` always mean the rows and the keys."""
    row = {**ROW, "keys": "text", "new": "text"}

    assert tags("'flight:{keys.id}:{new.carrier}'", change(old=None, new=row)) == ["flight:f1:UA"]


# --- rows that the stream does not tell ---------------------------------------------------------------------


def test_keys_alone_are_enough_where_a_rule_needs_only_keys() -> None:
    """With a keys-only stream, a bare name that is a key works; nothing is lacking."""
    (targets,) = derived(
        "when: {table: Flights}, tags: ['flight:{id}']", change(old=None, new=None, images=frozenset())
    )

    assert (targets.tags, targets.lacking) == (("flight:f1",), ())


def test_a_rule_that_can_derive_nothing_is_poison() -> None:
    """If the view type leaves out what the rule needs, the record is kept, with the setting that mends it."""
    with pytest.raises(MalformedEventError, match=r"needs {carrier} of 'Flights'.*NEW_AND_OLD_IMAGES"):
        tags("'airline:{carrier}'", change(old=None, new=None, images=frozenset()))


def test_what_may_be_missing_is_told_beside_what_is_derived() -> None:
    """With new images only, a modification's old value is unknown: the new one is applied, the rest told."""
    (targets,) = derived(
        "when: {table: Flights}, tags: ['airline:{carrier}']", change(old=None, images=frozenset({"new"}))
    )

    assert (targets.tags, targets.lacking) == (("airline:UA",), ("{carrier}",))


# --- matching ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("table: Flights", True),
        ("table: '*light*'", True),
        ("table: [Airlines, Flights]", True),
        ("table: Airlines", False),
        ("table: flights", False),
        ("table: 'Flight[s]'", False),
        ("table: 'Flight?'", False),
        ("table: Flights, operation: modify", True),
        ("table: Flights, operation: [insert, remove]", False),
        ("table: Flights, changed: [version]", True),
        ("table: Flights, changed: [carrier, version]", True),
        ("table: Flights, changed: [carrier]", False),
        ("table: Flights, changed: [nothing]", False),
        ("source: eventbridge, detail_type: Flights", False),
    ],
)
def test_a_rule_concerns_what_it_names(when: str, matches: bool) -> None:
    """All conditions must hold; only `*` is special in a name."""
    assert bool(derived(f"when: {{{when}}}, tags: [x]", change())) is matches


@pytest.mark.parametrize("images", [frozenset(), frozenset({"new"}), frozenset({"old"})])
def test_in_doubt_an_attribute_changed(images: frozenset[str]) -> None:
    """Where the stream does not tell both rows, a rule on a changed attribute applies."""
    assert derived("when: {table: Flights, changed: [carrier]}, tags: [x]", change(images=images))


@pytest.mark.parametrize(
    "rows", [{"operation": Operation.INSERT, "old": None}, {"operation": Operation.REMOVE, "new": None}]
)
@pytest.mark.parametrize("attribute", ["carrier", "nothing"])
def test_a_row_that_comes_or_goes_changed(rows: dict[str, Any], attribute: str) -> None:
    """Pages that list rows gain or lose one, whichever attributes it has."""
    assert derived(f"when: {{table: Flights, changed: [{attribute}]}}, tags: [x]", change(**rows))


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (0, False), ([0], [False]), ({"a": 1}, {"a": True}), ([[1, {"b": 0}]], [[1, {"b": False}]])],
)
def test_a_value_of_another_type_changed(old: Any, new: Any) -> None:
    """Python holds 1 for True; whoever reads the row does not."""
    rule = "when: {table: Flights, changed: [carrier]}, tags: [x]"

    assert derived(rule, change(old={**ROW, "carrier": old}, new={**ROW, "carrier": new}))
    for value in (old, new):
        assert not derived(rule, change(old={**ROW, "carrier": value}, new={**ROW, "carrier": value}))


def test_an_attribute_changes_by_appearing_and_by_going() -> None:
    """An insert or a removal changes every attribute that the row has."""
    rule = "when: {table: Flights, changed: [carrier]}, tags: [x]"

    assert derived(rule, change(operation=Operation.INSERT, old=None))
    assert derived(rule, change(operation=Operation.REMOVE, new=None))


# --- row versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "of", "expected"),
    [
        ("version", change(), 8),
        ("new.version", change(), 8),
        ("old.version", change(), 7),
        ("version", change(operation=Operation.INSERT, old=None), 8),
        ("version", change(operation=Operation.REMOVE, new=None), 8),
        ("new.version", change(operation=Operation.REMOVE, new=None), None),
        ("version", change(new={"version": "eight"}), None),
        ("version", change(new={"version": True}), None),
        ("version", change(new={"version": -1}), None),
        ("version", change(new={"version": 2**63}), None),
    ],
)
def test_the_row_version_is_the_one_after_the_change(
    path: str, of: ChangeEvent, expected: int | None
) -> None:
    """It is the new row's, and after a removal one more than the last; what is no version costs only the fence."""
    (targets,) = derived(f"when: {{table: Flights}}, tags: [x], row_version: {path}, lag: 2s", of)

    assert targets.tags == ("x",)
    assert (targets.row_version, targets.lag_ms) == (expected, 0 if expected is None else 2_000)


def test_a_change_that_tells_no_row_at_all_is_noticed() -> None:
    """Whatever the operation: a rule that needs a row which nobody tells must not pass for one that names nothing."""
    bare = change(
        source=Source.APPLICATION,
        operation=Operation.OTHER,
        old=None,
        new=None,
        images=frozenset(),
        keys={"id": 1},
    )
    by_rows = "when: {source: application, entity: Flights}, tags: ['airline:{carrier}'%s]"

    with pytest.raises(MalformedEventError, match=r"needs \{carrier\} of 'Flights'"):
        derived(by_rows % "", bare)
    (found,) = derived(by_rows % ", 'flight:{id}'", bare)
    assert (found.tags, found.lacking) == (("flight:1",), ("{carrier}",))


def test_keys_that_are_not_told_are_noticed() -> None:
    """A record of Kafka without a key tells none; the row has one all the same."""
    keyless = change(source=Source.KAFKA, keys={}, images=frozenset({"new"}), old=None)
    rule = "when: {source: kafka, table: Flights}, tags: ['flight:{keys.id}'%s]"

    with pytest.raises(MalformedEventError, match=r"needs \{keys\.id\}"):
        derived(rule % "", keyless)
    (found,) = derived(rule % ", 'airline:{new.carrier}'", keyless)
    assert (found.tags, found.lacking) == (("airline:UA",), ("{keys.id}",))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ('[{"sku": "a"}, {"sku": 7}]', {"bought:a", "bought:7"}),
        ('{"sku": "a"}', set()),
        ("[sale]", set()),
    ],
)
def test_a_list_that_a_column_holds_as_text_has_its_elements(items: str, expected: set[str]) -> None:
    """Fields of Redis streams are texts, and so are columns of JSON without a schema."""
    rule = "when: {table: Flights}, each: items, tags: ['bought:{each.sku}']"
    (found,) = derived(rule, change(old=None, operation=Operation.INSERT, new={"items": items}))
    (same,) = derived(
        rule.replace("each: items", "each: basket.items"),
        change(new={"basket": f'{{"items": {items}}}'} if items[1] == "{" else {"items": items}),
    )

    assert set(found.tags) == expected
    assert set(same.tags) == (expected if items[1] == "{" else set())


def test_a_snapshot_s_row_may_have_been_another_before() -> None:
    """It may have changed while the connector was away: conditions on the old row hold, what is missed is told."""
    listed = change(
        source=Source.KAFKA, operation=Operation.INSERT, old=None, images=frozenset({"new"}), snapshot=True
    )
    when = "when: {source: kafka, table: Flights, old: {dest: LAX}}"

    (found,) = derived(f"{when}, tags: ['airline:{{carrier}}', 'flight:{{id}}']", listed)
    assert (found.tags, found.lacking) == (("airline:UA", "flight:f1"), ("{carrier}",))
    (quiet,) = derived(f"{when}, tags: ['airline:{{old.carrier}}']", listed)
    assert (quiet.tags, quiet.lacking) == ((), ("{old.carrier}",))
