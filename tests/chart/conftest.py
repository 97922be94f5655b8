from collections.abc import Callable
from pathlib import Path

import pytest
from rendering import HELM_VERSIONS, Manifest, render


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one test has rendered, the others find."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("chart"))


@pytest.fixture(scope="session")
def chart() -> Callable[..., list[Manifest]]:
    if not HELM_VERSIONS:
        pytest.skip("helm is not installed")
    return render


@pytest.fixture(scope="session")
def manifests(chart: Callable[..., list[Manifest]]) -> list[Manifest]:
    return chart()
