"""Who wrote no contract is told so, once, with the contract to write; and what was set aside is shown as what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.authors import Reply, authors, redirect
from trawl.cli.app import invoke
from trawl.sources import load_source

BARE = """
name: books
base_url: https://h
requests: {attempts: 1}
endpoints:
  authors: {list: {path: authors}, detail: {path: "authors/{key}"}}
  works: {parent: authors, detail: {path: "works/{key}"}}
  prizes: {list: {path: prizes}, detail: null}
  lists: {parent: authors, detail: {path: "lists/{key}"}, contract: {type: array}}
  plain: {list: {path: plain}, contract: {key: null}}
"""


class Desk:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.lake, self.capsys = folder / "books.yaml", folder / "lake", capsys
        self.file.write_text(BARE)

    def __call__(self, *words: str, code: int = 0) -> Any:
        assert invoke([*words]) == code
        return self.capsys.readouterr()

    def run(self, url: str, *words: str) -> Any:
        wishes = ("--base-url", url, "--rate", "unlimited", "--lake", str(self.lake), "--endpoint", "authors")
        return self("run", str(self.file), *wishes, *words)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_check_names_the_endpoints_without_a_contract_and_what_to_write(desk: Desk) -> None:
    said = desk("check", str(desk.file)).out
    assert "none for authors, works:" in said
    assert "contract: {fields: {id: integer, name: string}, key: id}" in said
    assert "trawl try books authors KEY" in said
    (_, finding) = json.loads(desk("check", str(desk.file), "--json").out)["checks"]
    assert (finding["subject"], finding["level"]) == ("contract", "warning")


def test_the_shipped_source_has_its_contracts(desk: Desk) -> None:
    assert load_source("pokeapi").uncontracted == []
    assert "warning" not in desk("check", "pokeapi").out


def test_a_run_says_it_once_and_only_of_its_own_endpoints(desk: Desk) -> None:
    with authors(keys=range(1, 4)) as (url, _):
        said = desk.run(url).err
        assert said.count("no contract") == 1
        assert "no contract for authors (`trawl check`" in said
        desk.file.write_text(BARE.replace('authors/{key}"}', 'authors/{key}"}, contract: {fields: {id: integer}}'))
        assert "no contract" not in desk.run(url).err


def test_a_look_at_a_record_suggests_the_contract(desk: Desk) -> None:
    suggested = "contract: {fields: {id: integer, name: string}, key: id}"
    with authors(keys=range(1, 4)) as (url, api):
        assert (
            f"there is none: its documents are not checked further. Suggested: {suggested}"
            in desk("try", str(desk.file), "authors", "2", "--base-url", url).out
        )
        live = desk("check", str(desk.file), "--live", "--lake", str(desk.lake), "--base-url", url).out
        assert f"this document suggests `{suggested}`" in live
        desk.file.write_text(BARE.replace('authors/{key}"}', f'authors/{{key}}"}}, {suggested}'))
        said = desk("try", str(desk.file), "authors", "2", "--base-url", url).out
        assert "there is none" not in said
        assert "ok id is the key 2" in said
        api.document = lambda key: Reply(body={"uid": f"u{key}", "odd name": 1, "no": None, "of": {}})
        desk.file.write_text(BARE)
        said = desk("try", str(desk.file), "authors", "2", "--base-url", url).out
        assert "Suggested: contract: {fields: {uid: string, of: object}}" in said


def test_a_look_at_another_record_s_document_says_what_to_write(desk: Desk) -> None:
    with authors(keys=range(1, 4)) as (url, api):
        api.odd = {2: Reply(body={"id": 3}), 3: Reply(body={"error": "oops"})}
        said = desk("try", str(desk.file), "authors", "2", "--base-url", url, code=1).out
        assert (
            "the field 'id' is not the record's key '2' but '3'; `contract.key: null` if that is what the API sends"
            in said
        )
        said = desk("try", str(desk.file), "authors", "3", "--base-url", url, code=1).out
        assert "the document is nothing but an error" in said


def test_what_a_refusal_left_is_listed_shown_and_replayed_in_vain(desk: Desk) -> None:
    odd = {1: Reply(418, b"a teapot"), 2: redirect("https://elsewhere.example.com/")}
    with authors(keys=range(1, 31), odd=odd) as (url, _):
        assert "quarantined: 2 records (trawl quarantine list books)" in desk.run(url).out
    lake = ("--lake", str(desk.lake))
    said = desk("quarantine", "list", "books", *lake).out
    assert "refused: the API answers 418" in said
    assert "https://elsewhere.example.com/ is not on" in said
    said = desk("quarantine", "show", "books", "authors", "1", *lake).out
    assert "status 418" in said
    assert "a teapot" in said
    said = desk("quarantine", "show", "books", "authors", "2", *lake).out
    assert "status 302" in said
    said = desk("quarantine", "replay", str(desk.file), *lake).out
    assert said.count("still refused") == 2
    assert "0 of 2 answers passed" in said
    facts = json.loads(desk("status", "--json", *lake).out)["sources"]["books"]
    assert facts["quarantined"] == 2
