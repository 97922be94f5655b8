"""A document that breaks its contract is not believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trawl.model.canonical import parse
from trawl.model.contract import Contract, is_error
from trawl.model.errors import BrokenBody
from trawl.model.keys import KeyPolicy


def broken(contract: Contract, body: str, key: str = "1") -> str | None:
    try:
        contract.check(parse(body.encode()), key)
    except BrokenBody as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("object", "{}"),
        ("array", "[]"),
        ("string", '""'),
        ("integer", "0"),
        ("integer", "1.0"),
        ("integer", "123456789012345678901234567890"),
        ("number", "1"),
        ("number", "1.5"),
        ("number", "0.1234567890123456789"),
        ("number", "123456789012345678901234567890"),
        ("boolean", "false"),
        ("null", "null"),
        ("string|null", "null"),
        ("string | null", "null"),
        ("any", "true"),
    ],
)
def test_a_field_of_its_type_is_accepted(kind: str, value: str) -> None:
    assert broken(Contract(fields={"a": kind}), f'{{"a": {value}}}') is None


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("integer", "true", "boolean"),
        ("number", "false", "boolean"),
        ("integer", "1.5", "number"),
        ("integer", "0.1234567890123456789", "number"),
        ("string", "1", "integer"),
        ("object", "[]", "array"),
        ("string|integer", "null", "null"),
        ("boolean", "1", "integer"),
    ],
)
def test_a_field_of_another_type_is_named_with_both(kind: str, value: str, found: str) -> None:
    reason = broken(Contract(fields={"a": kind}), f'{{"a": {value}}}')
    assert reason == f"contract: the field 'a' is {found}, not {kind}"


def test_a_missing_field_is_not_a_null_one() -> None:
    contract = Contract(fields={"a.b": "null"})
    assert broken(contract, '{"a": {"b": null}}') is None
    assert broken(contract, '{"a": {}}') == "contract: the field 'a.b' is missing"


def test_the_document_itself_has_a_type() -> None:
    assert broken(Contract(), "[]") == "contract: the document is array, not object"
    assert broken(Contract(type="array"), "{}") == "contract: the document is object, not array"
    assert broken(Contract(type="any"), "null") is None


@pytest.mark.parametrize("key", ["0", "-1", "18446744073709551616"])
def test_the_key_must_stand_in_the_document(key: str) -> None:
    contract = Contract(key="id")
    assert broken(contract, f'{{"id": {key}}}', key) is None
    assert broken(contract, f'{{"id": "{key}"}}', key) is None
    assert broken(contract, '{"id": 5}', key) == f"contract: the field 'id' is not the record's key '{key}' but '5'"
    assert broken(contract, "{}", key) == f"contract: the field 'id' is not the record's key '{key}'"


BY_ID = KeyPolicy(("id",))


@pytest.mark.parametrize("contract", [Contract(), Contract(type="any"), Contract(fields={"name": "string"})])
def test_by_default_a_document_must_repeat_the_key_where_it_has_what_makes_it(contract: Contract) -> None:
    assert contract.check_document({"id": 1, "name": "a"}, "1", BY_ID)
    assert not contract.check_document({"name": "a"}, "1", BY_ID), "it does not tell whose it is"
    assert not contract.check_document({"id": 2, "name": "a"}, "1", None), "nobody says that it repeats a key"
    with pytest.raises(
        BrokenBody, match=r"the field 'id' is not the record's key '1' but '2'; `contract.key: null` if"
    ):
        contract.check_document({"id": 2, "name": "a"}, "1", BY_ID)


@pytest.mark.parametrize("contract", [Contract(key=None), Contract(key="no")])
def test_whoever_writes_a_key_or_none_is_asked_for_no_other(contract: Contract) -> None:
    assert contract.check_document({"no": 1, "id": 2}, "1", BY_ID)
    assert contract.written


def test_fields_take_the_place_of_the_look_for_errors() -> None:
    with pytest.raises(BrokenBody, match="nothing but an error"):
        Contract().check_document({"message": "hello"}, "1", BY_ID)
    assert not Contract(fields={"message": "string"}).check_document({"message": "hello"}, "1", BY_ID)
    assert not Contract().written
    assert Contract(fields={"message": "string"}).written
    assert Contract(type="array").written


@pytest.mark.parametrize(
    "value",
    [
        {"error": "x"},
        {"errors": []} | {"message": "x"},
        {"Error-Code": 17, "Error_Message": "x"},
        {"ok": False},
        {"code": "404", "message": None, "data": None},
        {"status": "fail", "reason": "x"},
        {"exception": {"class": "E"}, "trace": ["a"]},
    ],
)
def test_what_has_no_field_but_those_of_an_error_is_one(value: dict[str, object]) -> None:
    assert is_error(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "error",
        {"error": "x", "name": "a"},
        {"ok": True, "message": "x"},
        {"status": 200, "message": "x"},
        {"message": {"text": "x"}},
        {"detail": ["x"], "status": "success"},
        {"title": "x", "type": "book", "status": "open"},
        {"code": "DE", "title": "Germany"},
        {"errors": [], "title": "x"},
        {"description": "x"},
    ],
)
def test_what_may_be_a_document_is_no_error(value: object) -> None:
    assert not is_error(value)


@pytest.mark.parametrize("key", [False, "", 5, ["id"]])
def test_a_key_that_names_no_field_is_refused(key: object) -> None:
    with pytest.raises(ValidationError, match="names no field"):
        Contract(key=key)


@pytest.mark.parametrize("types", ["strng", "", "string|", 5, None])
def test_an_unknown_type_is_refused_with_those_that_are(types: object) -> None:
    with pytest.raises(ValidationError, match="write one of object, array, string"):
        Contract(fields={"a": types})


@given(
    st.dictionaries(st.sampled_from(["id", "name"]), st.none() | st.integers(0, 2) | st.text(max_size=1)),
    st.dictionaries(st.sampled_from(["id", "name"]), st.sampled_from(["integer", "string", "string|null", "any"])),
    st.sampled_from([None, "id", "name"]),
)
def test_the_findings_are_all_well_exactly_where_the_document_is_believed(
    value: dict[str, object], fields: dict[str, str], key: str | None
) -> None:
    contract = Contract(fields=fields, key=key)
    believed = broken(contract, json.dumps(value)) is None
    findings = list(contract.findings(value, "1"))
    assert believed == all(finding.ok for finding in findings)
    assert len(findings) == 1 + len(fields) + (key is not None)
