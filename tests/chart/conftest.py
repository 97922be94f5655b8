from collections.abc import Callable

import pytest
from rendering import HELM_VERSIONS, Manifest, render


@pytest.fixture(scope="session")
def chart() -> Callable[..., list[Manifest]]:
    if not HELM_VERSIONS:
        pytest.skip("helm is not installed")
    return render


@pytest.fixture(scope="session")
def manifests(chart: Callable[..., list[Manifest]]) -> list[Manifest]:
    return chart()
