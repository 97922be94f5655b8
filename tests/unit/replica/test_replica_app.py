"""The application answers as the real service does."""

import json

import pytest
from small_pokeapi import FILES, Ask, asking

from trawl.replica import GeneratedCatalogue, ReplicaApp


def test_a_document_is_served_byte_for_byte_but_for_absolute_urls(ask: Ask) -> None:
    body = FILES["pokemon/1"].replace(b'"/api/v2/', b'"https://pokeapi.co/api/v2/')
    assert ask("/api/v2/pokemon/1/").body == body
    assert b"see /api/v2/pokemon/ or" in body


def test_good_answers_carry_the_services_headers(ask: Ask) -> None:
    reply = ask("/api/v2/machine/1/")
    assert reply.headers == {
        "access-control-allow-origin": "*",
        "vary": "Accept-Encoding",
        "access-control-expose-headers": "X-PokeAPI-Hash,X-PokeAPI-Deploy-Date",
        "cache-control": "public, max-age=86400, s-maxage=86400",
        "x-pokeapi-hash": "852aec90",
        "x-pokeapi-deploy-date": "1785741236",
        "etag": reply.headers["etag"],
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(reply.body)),
    }


def test_etags_are_those_of_express(ask: Ask) -> None:
    # What Express itself sends for the nine bytes "Not Found".
    assert ask("/api/v2/machine/99/").headers["etag"] == 'W/"9-0gXL1ngzMqISxa6S1zx3F4wtLyg"'


@pytest.mark.parametrize("form", ["{}", "*", '"a", {}', 'W/"b",{} , "c"'])
def test_a_matching_etag_answers_304_without_a_body(ask: Ask, form: str) -> None:
    first = ask("/api/v2/machine/1/")
    second = ask("/api/v2/machine/1/", if_none_match=form.format(first.headers["etag"]))
    assert (second.status, second.body) == (304, b"")
    assert second.headers.items() == {
        (name, value) for name, value in first.headers.items() if not name.startswith("content-")
    }


def test_etags_are_compared_weakly(ask: Ask) -> None:
    etag = ask("/api/v2/machine/1/").headers["etag"].removeprefix("W/")
    assert ask("/api/v2/machine/1/", if_none_match=etag).status == 304


def test_another_etag_answers_200(ask: Ask) -> None:
    assert ask("/api/v2/machine/1/", if_none_match='W/"a-b"').status == 200


def test_lists_answer_304_too(ask: Ask) -> None:
    etag = ask("/api/v2/move/?limit=100").headers["etag"]
    assert ask("/api/v2/move/?limit=100", if_none_match=etag).status == 304
    assert ask("/api/v2/move/?limit=10", if_none_match=etag).status == 200


@pytest.mark.parametrize("path", ["/api/v2/pokemon/1", "/API/v2/Pokemon/1/", "/api/v2/pokemon/bulbasaur/"])
def test_a_record_has_many_addresses(ask: Ask, path: str) -> None:
    assert ask(path).body == ask("/api/v2/pokemon/1/").body


def test_the_last_of_two_records_with_one_name_is_found_by_it(ask: Ask) -> None:
    assert ask("/api/v2/item/roseli-berry/").json()["id"] == 2279


@pytest.mark.parametrize("key", [-1, 0])
def test_ids_need_not_be_positive(ask: Ask, key: int) -> None:
    assert ask(f"/api/v2/move-ailment/{key}/").json()["id"] == key


@pytest.mark.parametrize("path", ["/api/v2/pokemon/1/encounters", "/api/v2/pokemon/bulbasaur/encounters/"])
def test_encounters_lie_below_a_pokemon(ask: Ask, path: str) -> None:
    assert ask(path).json() == [{"location_area": {"url": "https://pokeapi.co/api/v2/location-area/9/"}}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/machine/99/", 404),
        ("/api/v2/machine/1/encounters", 404),
        ("/api/v2/berry/", 404),  # deployed, but not in this data
        ("/api/v2/currency/", 400),  # not deployed when the list was made
        ("/api/v2/nonsense/1/", 400),
        ("/api/v2/pokemon/1/moves", 400),
        ("/api/v2/item/jalapeño/", 400),
        ("/api/v2/item/../", 400),
        ("/api/v2/pokemon/1/encounters/2", 404),
        ("/api/v2//pokemon", 404),
        ("/api/v1/pokemon/", 404),
        ("/", 404),
    ],
)
def test_errors_are_the_plain_text_of_their_status(ask: Ask, path: str, status: int) -> None:
    reply = ask(path)
    assert (reply.status, reply.body) == (status, {404: b"Not Found", 400: b"Bad Request"}[status])
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_missing_record_is_cached_for_five_days(ask: Ask) -> None:
    assert ask("/api/v2/machine/99/").headers["cache-control"] == "public, max-age=432000, s-maxage=432000"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_allowed(ask: Ask, method: str) -> None:
    reply = ask("/api/v2/machine/1/", method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


def test_head_answers_the_headers_of_get(ask: Ask) -> None:
    get, head = ask("/api/v2/machine/1/"), ask("/api/v2/machine/1/", "HEAD")
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


def test_root_and_meta_are_documents(ask: Ask) -> None:
    assert ask("/api/v2/").json()["pokemon"] == "https://pokeapi.co/api/v2/pokemon/"
    assert ask("/api/v2").body == ask("/api/v2/").body
    assert ask("/api/v2/meta/").json() == {"deploy_date": "1785741236", "hash": "852aec90", "tag": None}


def test_another_day_is_served_under_the_same_address() -> None:
    app = ReplicaApp(GeneratedCatalogue(100))
    ask = asking(app)
    before = ask("/api/v2/meta/")
    app.catalogue = GeneratedCatalogue(100, day=1)
    after = ask("/api/v2/meta/")
    assert before.json()["hash"] != after.json()["hash"] == after.headers["x-pokeapi-hash"]
    assert int(after.json()["deploy_date"]) == int(before.json()["deploy_date"]) + 86_400


def test_a_page_too_wide_to_make_at_once_is_made_whole() -> None:
    ask = asking(ReplicaApp(GeneratedCatalogue(150_000)))
    content = ask("/api/v2/machine/?limit=1000000").json()
    assert content["count"] == len(content["results"]) > 20_000


def test_stats_count_requests_by_status_and_log_starts_when_asked(app: ReplicaApp) -> None:
    ask = asking(app)
    ask("/api/v2/machine/1/")
    assert app.stats.starts is None
    app.stats.log_starts()
    ask("/api/v2/machine/1/")
    ask("/api/v2/machine/99/")
    assert app.stats.requests == 3
    assert dict(app.stats.by_status) == {200: 2, 404: 1}
    assert app.stats.starts == sorted(app.stats.starts)
    assert len(app.stats.starts) == 2
    app.stats.reset()
    assert (app.stats.requests, dict(app.stats.by_status), app.stats.starts) == (0, {}, [])


@pytest.mark.parametrize(
    ("query", "ids", "following", "preceding"),
    [
        ("", range(1, 21), "offset=20&limit=5", None),
        ("?limit=0", range(1, 21), "offset=20&limit=5", None),
        ("?limit=many&offset=x", range(1, 21), "offset=20&limit=5", None),
        ("?limit=10abc", range(1, 11), "offset=10&limit=10", None),
        ("?limit=10&offset=10", range(11, 21), "offset=20&limit=5", "offset=0&limit=10"),
        ("?limit=10&offset=4", range(5, 15), "offset=14&limit=10", "offset=0&limit=4"),
        ("?limit=10&offset=20", range(21, 26), None, "offset=10&limit=10"),
        ("?limit=10&offset=100", [], None, "offset=90&limit=10"),
        ("?limit=100000", range(1, 26), None, None),
        ("?limit=-1", range(1, 25), None, None),
    ],
)
def test_lists_are_cut_as_the_service_cuts_them(
    ask: Ask, query: str, ids: range, following: str | None, preceding: str | None
) -> None:
    for path in ("/api/v2/move/", "/api/v2/move"):
        content = ask(path + query).json()
        links = [f"https://pokeapi.co{path}?{link}" if link else None for link in (following, preceding)]
        assert list(content) == ["count", "next", "previous", "results"]
        assert (content["count"], content["next"], content["previous"]) == (25, *links)
        assert [entry["name"] for entry in content["results"]] == [f"move-{number}" for number in ids]


def test_lists_without_names_hold_urls_alone(ask: Ask) -> None:
    assert json.loads(ask("/api/v2/machine/?limit=1").body)["results"] == [
        {"url": "https://pokeapi.co/api/v2/machine/1/"}
    ]
