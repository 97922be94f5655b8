from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def no_back_off() -> Iterator[None]:
    """Retries follow at once, at most three attempts."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
