"""The description language: what fits is read exactly, what does not is refused by name."""

import json

import pytest

from orion.errors import OrionError
from orion.runtime.api_schema.kinds import (
    Choice,
    Flag,
    Labels,
    Listing,
    Member,
    Object,
    Parameter,
    Text,
    Whole,
    public_id,
)
from orion.runtime.api_schema.reading import Fields, read_body, read_query
from orion.runtime.body import (
    MalformedField,
    MalformedParameter,
    MissingField,
    PayloadTooLarge,
    UnknownField,
    UnknownParameter,
)

INNER = Object("Inner", (Member("name", Text(max_length=4)), Member("on", Flag(), optional=True)))
ASKED = Object(
    "Asked",
    (
        Member("name", Text(max_length=8)),
        Member("word", Text(max_length=8, pattern="[a-c]+"), optional=True),
        Member("count", Whole(1, 9), optional=True),
        Member("colour", Choice(("red", "blue")), optional=True),
        Member("tags", Listing(Text(max_length=3), min_items=1, max_items=3), optional=True),
        Member("labels", Labels(2, 4, 6), optional=True),
        Member("inner", INNER, optional=True),
        Member("rows", Listing(INNER, max_items=2), optional=True),
        Member("invoice", public_id("inv"), optional=True),
        Member("on", Flag(), optional=True),
    ),
)
INVOICE = "inv_" + "0" * 26


def read(**values: object) -> Fields:
    return read_body(json.dumps({"name": "n", **values}).encode(), ASKED)


def test_what_fits_is_read() -> None:
    fields = read(
        count=9,
        colour="red",
        tags=["a", "b"],
        labels={"a": ""},
        inner={"name": "x", "on": False},
        rows=[{"name": "y"}],
        invoice=INVOICE,
    )
    assert (fields.text("name"), fields.whole("count")) == ("n", 9)
    assert (fields.optional_text("colour"), fields.texts("tags")) == ("red", ("a", "b"))
    assert fields.optional_labels("labels") == {"a": ""}
    assert fields.object("inner").flag("on") is False
    assert [row.text("name") for row in fields.objects("rows")] == ["y"]
    assert fields.text("invoice") == INVOICE


def test_an_optional_field_may_be_absent_or_null_and_a_patch_can_tell() -> None:
    fields = read(count=None)
    assert fields.optional_whole("count") is None
    assert fields.optional_texts("tags") is None
    assert fields.optional_object("inner") is None
    assert (fields.given("count"), fields.given("tags")) == (True, False)


WRONG: dict[str, tuple[object, ...]] = {
    "name": (1, True, [], {}, "", "x" * 9, "a\x00b", "\ud800", "a\nb", "\ufffe", "a\uffff"),
    "count": (True, "1", 0, 10, [1]),
    "colour": ("green", "", 1, ["red"]),
    "tags": ("a", [], ["a", "a"], [1], ["a"] * 4, ["a", None], [""]),
    "labels": ([], {"abcde": "x"}, {"": "x"}, {"a": "1", "b": "2", "c": "3"}),
    "inner": ([], "x", 1),
    "invoice": (INVOICE[:-1], "x" + INVOICE[1:], "mer_0", "inv_8" + "0" * 25),
    "word": ("abc1", "1abc", "ab c"),
    "on": (1, "true", 0),
}


@pytest.mark.parametrize(
    "field, value", [(field, value) for field, values in WRONG.items() for value in values]
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(MalformedField) as refused:
        read(**{field: value})
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize(
    "field, body",
    [
        ("labels.a", {"labels": {"a": "1234567"}}),
        ("labels.a", {"labels": {"a": 1}}),
        ("labels.a", {"labels": {"a": "x\uffff"}}),
        ("inner.name", {"inner": {"name": "xxxxx"}}),
        ("rows.name", {"rows": [{"name": 1}]}),
    ],
)
def test_a_nested_value_is_refused_by_its_place(field: str, body: dict[str, object]) -> None:
    with pytest.raises(MalformedField) as refused:
        read(**body)
    assert refused.value.fields["field"] == field


def test_a_needed_field_is_missed_when_absent_or_null_at_any_depth() -> None:
    for body, field in (
        (b"{}", "name"),
        (b'{"name": null}', "name"),
        (b'{"name": "n", "inner": {}}', "inner.name"),
    ):
        with pytest.raises(MissingField) as refused:
            read_body(body, ASKED)
        assert refused.value.fields["field"] == field


def test_only_the_fields_of_the_request_are_taken() -> None:
    for body, field in (
        (b'{"nmae": "n"}', "nmae"),
        (b'{"name": "n", "inner": {"a": 1}}', "inner.a"),
    ):
        with pytest.raises(UnknownField) as refused:
            read_body(body, ASKED)
        assert refused.value.fields["field"] == field


def test_a_body_has_a_limit() -> None:
    with pytest.raises(PayloadTooLarge):
        read_body(b" " * 70_000, ASKED)


def test_a_reader_of_another_kind_is_a_mistake_of_ours() -> None:
    fields = read(on=True)
    for ask in (
        lambda: fields.whole("on"),
        lambda: fields.text("count"),
        lambda: fields.texts("name"),
    ):
        with pytest.raises(TypeError):
            ask()


class Odd(OrionError):
    code = "limit_out_of_range"


QUERY = (
    Parameter("limit", Whole(1, 100), "", Odd),
    Parameter("types", Listing(Text(max_length=3), min_items=1, max_items=2), ""),
    Parameter("colour", Choice(("red",)), ""),
)


def test_a_query_is_read_by_its_description() -> None:
    fields = read_query({"limit": "20", "types": "a,b"}, QUERY)
    assert (fields.whole("limit"), fields.texts("types")) == (20, ("a", "b"))
    assert fields.optional_text("colour") is None


@pytest.mark.parametrize("text", ["0", "101", "", "1.0", "x", "+1", "²", "1" * 400])
def test_a_parameter_is_refused_with_the_error_of_its_own(text: str) -> None:
    with pytest.raises(Odd) as refused:
        read_query({"limit": text}, QUERY)
    assert refused.value.fields["parameter"] == "limit"


@pytest.mark.parametrize(
    "query", [{"types": ""}, {"types": "a,b,c"}, {"types": "a,,"}, {"colour": "x"}]
)
def test_a_parameter_without_an_error_of_its_own_is_malformed(query: dict[str, str]) -> None:
    with pytest.raises(MalformedParameter):
        read_query(query, QUERY)


def test_a_parameter_that_the_request_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownParameter) as refused:
        read_query({"limt": "5"}, QUERY)
    assert refused.value.fields["parameter"] == "limt"
