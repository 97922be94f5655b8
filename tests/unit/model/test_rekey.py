"""A new key is told only by what is stored."""

from typing import Any

import pytest

from trawl.model.config import EndpointConfig
from trawl.model.errors import TornListing
from trawl.model.rekey import key_again

ADDRESS = "https://h/v2/a/7/"


def config(**more: Any) -> EndpointConfig:
    return EndpointConfig.model_validate({"label": "name"} | more)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"field": "id"}, "7"),
        ({"field": "name"}, "old"),
        ({"field": ["name", "id"]}, "old:7"),
        ({"field": "deep.er"}, "x:1"),
        ({"field": ["deep.er", "id"]}, "x%3A1:7"),
        ({"field": "url", "pattern": r"/(\d+)/$"}, "7"),
        ({"field": "deep.er", "pattern": r"x:(\d)"}, "1"),
    ],
)
def test_the_document_tells_first_then_the_label_then_the_address(key: dict[str, Any], expected: str) -> None:
    document = {"id": 7, "name": "old", "deep": {"er": "x:1"}}
    assert key_again(config(key=key), document, "label", ADDRESS) == expected


def test_without_a_document_the_label_and_the_address_tell() -> None:
    assert key_again(config(key={"field": "name"}), None, "label", None) == "label"
    assert key_again(config(key={"field": "url", "pattern": r"(\d+)/$"}), None, None, ADDRESS) == "7"


@pytest.mark.parametrize("key", [{"field": "code"}, {"field": "id", "pattern": "(x)"}, {"field": ["id", "code"]}])
def test_what_is_not_stored_tells_nothing(key: dict[str, Any]) -> None:
    with pytest.raises(TornListing):
        key_again(config(key=key), {"id": 7}, "label", ADDRESS)


def test_where_the_list_is_all_there_is_only_the_item_tells() -> None:
    only = config(detail=None, key={"field": "name"})
    assert key_again(only, {"name": "ann"}, "label", None) == "ann"
    with pytest.raises(TornListing):
        key_again(only, {"id": 1}, "label", None)
