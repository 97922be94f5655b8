"""The contract of lakes, held by both forms that there are."""

import uuid
from pathlib import Path

import pytest

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
