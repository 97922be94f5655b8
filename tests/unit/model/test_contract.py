"""A document that breaks its contract is not believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trawl.model.canonical import parse
from trawl.model.contract import Contract
from trawl.model.errors import BrokenBody


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
    assert broken(contract, '{"id": 5}', key) == f"contract: the field 'id' is not the record's key '{key}'"
    assert broken(contract, "{}", key) is not None


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
