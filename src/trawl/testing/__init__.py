"""Contracts as test classes: for lakes, and for sources of your own. Needs pytest."""

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("trawl.testing needs pytest: pip install pytest", name="pytest") from error

# So that a failing assertion shows its values, as in a test of one's own.
pytest.register_assert_rewrite("trawl.testing.lakes", "trawl.testing.sources")

from .lakes import LakeContract  # noqa: E402
from .sources import SourceContract  # noqa: E402

__all__ = ["LakeContract", "SourceContract"]
