"""What an archive and a folder share: documents at api/v2/.../index.json, and names that stand for ids."""

from collections.abc import Mapping

import orjson

from trawl.model.errors import ConfigurationError
from trawl.replica.catalogue import Listing, Release, with_absolute_urls

INDEX = "index.json"
META = "meta"
"""The document that says which deploy a copy is. Copies from before 2026 have none."""


def parse_listing(raw: bytes, where: str) -> tuple[Listing, Mapping[str, str]]:
    """Read a full list; answer it, and the id that each name in it stands for (the last one wins).

    Raises ConfigurationError if it is not a list in PokeAPI's form.
    """
    try:
        content = orjson.loads(with_absolute_urls(raw))
        results = content["results"]
        ids = {entry["name"]: entry["url"].rstrip("/").rpartition("/")[2] for entry in results if "name" in entry}
        return Listing(int(content["count"]), tuple(map(orjson.dumps, results))), ids
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{where} is not a list in PokeAPI's form: {error!r}",
            remedy='it must hold {"count": ..., "results": [{"name": ..., "url": ...}, ...]}',
        ) from error


def parse_release(raw: bytes, where: str) -> Release:
    """Read a meta document. Raises ConfigurationError if hash or deploy date is missing."""
    try:
        content = orjson.loads(raw)
        return Release(hash=str(content["hash"]), deploy_date=str(content["deploy_date"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{where} is not PokeAPI's meta document: {error!r}",
            remedy='it must hold {"deploy_date": "...", "hash": "..."}',
        ) from error


def require_root(*, there: bool, where: str) -> None:
    """Raise ConfigurationError if a copy lacks what every copy has: the root index."""
    if not there:
        raise ConfigurationError(
            f"{where} has no api/v2/{INDEX}",
            remedy="give a copy of PokeAPI's data: api/v2/index.json, api/v2/ENDPOINT/index.json, "
            "api/v2/ENDPOINT/ID/index.json, and api/v2/meta/index.json if there is one",
        )


def by_id(path: str, ids: Mapping[str, Mapping[str, str]]) -> str | None:
    """The path with the record's name replaced by its id; None if no record has that name."""
    endpoint, _, rest = path.partition("/")
    name, slash, below = rest.partition("/")
    key = ids.get(endpoint, {}).get(name)
    return None if key is None else f"{endpoint}/{key}{slash}{below}"
