"""Archives and folders: the same documents, or an error that says what is wrong."""

import os
from pathlib import Path

import pytest
from small_pokeapi import FILES, write_archive, write_folder

from trawl.model.errors import ConfigurationError
from trawl.replica import ArchiveCatalogue, Catalogue, Document, FolderCatalogue, Listing


def test_archive_and_folder_serve_the_same(archive: Path, folder: Path) -> None:
    packed: Catalogue = ArchiveCatalogue(archive)
    unpacked: Catalogue = FolderCatalogue(folder)
    assert packed.release == unpacked.release
    assert packed.endpoints == unpacked.endpoints == {"item", "machine", "move", "move-ailment", "pokemon"}
    for path in (*FILES, "item/roseli-berry", "pokemon/bulbasaur/encounters", "pokemon/2", "nonsense"):
        assert packed.find(path) == unpacked.find(path)


def test_an_etag_is_kept_and_stays_right(archive: Path) -> None:
    catalogue = ArchiveCatalogue(archive)
    assert catalogue.find("machine/1") == catalogue.find("machine/1")


def test_a_folder_may_be_given_from_api_v2_on(folder: Path) -> None:
    assert FolderCatalogue(folder / "api" / "v2").endpoints == FolderCatalogue(folder).endpoints


def test_a_changed_file_is_served_changed_with_its_own_etag(tmp_path: Path) -> None:
    catalogue = FolderCatalogue(write_folder(tmp_path))
    before = catalogue.find("machine/1")
    file = tmp_path / "api/v2/machine/1/index.json"
    file.write_bytes(b'{"id":9}')
    os.utime(file, ns=(1, 1))
    after = catalogue.find("machine/1")
    assert isinstance(before, Document)
    assert isinstance(after, Document)
    assert after.body == b'{"id":9}'
    assert after.etag != before.etag


def test_nothing_outside_the_folder_is_served(folder: Path) -> None:
    inner = FolderCatalogue(folder / "api" / "v2")
    assert inner.find("pokemon/../machine/1") is None
    assert inner.find("../v2/machine/1") is None


def test_a_list_that_miscounts_is_served_as_it_is(tmp_path: Path) -> None:
    torn = FILES["machine"].replace(b'"count":2', b'"count":3')
    found = FolderCatalogue(write_folder(tmp_path, FILES | {"machine": torn})).find("machine")
    assert isinstance(found, Listing)
    assert (found.count, len(found.entries)) == (3, 2)


def _without(place: str) -> dict[str, bytes]:
    return {name: body for name, body in FILES.items() if name != place}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (_without(""), "api/v2/index.json"),
        (FILES | {"meta": b"{}"}, "meta"),
        (FILES | {"machine": b"[]"}, "machine"),
        (FILES | {"machine": b"{"}, "machine"),
    ],
)
def test_a_bad_copy_is_refused_with_what_is_wrong(tmp_path: Path, files: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        ArchiveCatalogue(write_archive(tmp_path / "bad.tar.zst", files))
    assert refused.value.remedy
    with pytest.raises(ConfigurationError, match=complaint):
        FolderCatalogue(write_folder(tmp_path, files))


def test_a_copy_from_before_the_meta_document_is_served_without_a_release(tmp_path: Path) -> None:
    old = _without("meta")
    for found in (
        ArchiveCatalogue(write_archive(tmp_path / "old.tar.zst", old)),
        FolderCatalogue(write_folder(tmp_path / "old", old)),
    ):
        assert (found.release, found.find("meta")) == (None, None)
        assert isinstance(found.find("machine"), Listing)


def test_what_is_no_archive_is_refused(tmp_path: Path, archive: Path) -> None:
    for content in (b"", b"text", archive.read_bytes()[:200]):
        bad = tmp_path / "bad.tar.zst"
        bad.write_bytes(content)
        with pytest.raises(ConfigurationError, match="bad"):
            ArchiveCatalogue(bad)
    with pytest.raises(ConfigurationError, match="No such file"):
        ArchiveCatalogue(tmp_path / "none.tar.zst")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a folder"):
        FolderCatalogue(tmp_path / "none")
