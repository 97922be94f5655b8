"""The contract of lakes, held by both forms that there are."""

import uuid
from pathlib import Path

import pytest

from trawl.lake import Lake
from trawl.lake.store import Store
from trawl.testing import LakeContract


class TestFolder(LakeContract):
    @pytest.fixture
    def lake_url(self, tmp_path: Path) -> str:
        return str(tmp_path / "lake")


@pytest.mark.s3
class TestBucket(LakeContract):
    @pytest.fixture
    def lake_url(self, s3: str) -> str:
        return f"{s3}/{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("verb", "law"),
    [
        ("create", "test_an_object_is_created_once"),
        ("swap", "test_only_who_saw_the_last_content_may_swap_it"),
    ],
)
def test_storage_that_does_not_hold_its_conditions_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, law: str
) -> None:
    def careless(store: Store, path: str, content: bytes, tag: str | None = None) -> str:
        store.put(path, content)
        return "always the same"

    monkeypatch.setattr(Store, verb, careless)
    lake = Lake(tmp_path)
    lake.store.make()
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        getattr(LakeContract(), law)(lake)
