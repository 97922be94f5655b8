"""The secret is read by reference and goes to one origin only."""

from base64 import b64encode
from pathlib import Path

import pytest
from yarl import URL

from trawl.model.config import Credentials
from trawl.model.errors import ConfigurationError
from trawl.transport.auth import Credential, read_secret

SECRET = "s3cret&value"
ORIGIN = "https://api.example.com/v1"


def signed(kind: str, url: str) -> tuple[URL, dict[str, str]]:
    return Credential(Credentials(kind=kind, name="X-Key", env="A"), SECRET, ORIGIN).sign(URL(url), {"accept": "a"})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("bearer", "Authorization", f"Bearer {SECRET}"),
        ("basic", "Authorization", f"Basic {b64encode(SECRET.encode()).decode()}"),
        ("header", "X-Key", SECRET),
    ],
)
@pytest.mark.parametrize("origin", ["https://api.example.com", "https://API.example.com:443"])
def test_a_secret_goes_to_its_own_origin(kind: str, name: str, value: str, origin: str) -> None:
    assert signed(kind, f"{origin}/v1/x")[1] == {"accept": "a", name: value}


def test_a_secret_in_the_query_is_added_to_what_stands_there() -> None:
    assert dict(signed("query", "https://api.example.com/?a=1")[0].query) == {"a": "1", "X-Key": SECRET}


@pytest.mark.parametrize("kind", ["bearer", "basic", "header", "query"])
@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://evil.api.example.com/",
        "https://api.example.com.evil/",
        "https://api.example.com@evil/",
    ],
)
def test_a_secret_goes_nowhere_else(kind: str, url: str) -> None:
    assert signed(kind, url) == (URL(url), {"accept": "a"})


def test_a_secret_is_hidden_in_every_spelling() -> None:
    credential = Credential(Credentials(env="A"), SECRET, ORIGIN)
    text = f"{SECRET} s3cret%26value {b64encode(SECRET.encode()).decode()}"
    assert credential.hide(text) == "... ... ..."


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret\n")
    assert read_secret(Credentials(env="API_TOKEN")) == "s3cret"


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    assert read_secret(Credentials(file=str(tmp_path / "token"))) == "s3cret"


def test_a_secret_is_read_from_a_block_where_blocks_are() -> None:
    credentials = Credentials(block="my-token")
    assert read_secret(credentials, {"my-token": "s3cret"}.__getitem__) == "s3cret"
    with pytest.raises(ConfigurationError, match="'my-token' can only be read in a Prefect run"):
        read_secret(credentials)


@pytest.mark.parametrize("secret", ["", " \n", "s3cret\nX: y", "s3cret\x00", "s3crét"])
def test_a_secret_that_no_header_can_carry_is_refused_unseen(secret: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(secret, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="token") as caught:
        read_secret(Credentials(file=str(path)))
    assert "s3cr" not in str(caught.value)


def test_encoded_secrets_may_hold_any_letter(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("user:pässword", encoding="utf-8")
    assert read_secret(Credentials(kind="basic", file=str(tmp_path / "token"))) == "user:pässword"


def test_a_missing_reference_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="variable API_TOKEN is not set"):
        read_secret(Credentials(env="API_TOKEN"))
    with pytest.raises(ConfigurationError, match="cannot read .*nothing"):
        read_secret(Credentials(file=str(tmp_path / "nothing")))


def test_a_file_of_other_bytes_is_refused_unseen(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret\xff")
    with pytest.raises(ConfigurationError, match="not text") as caught:
        read_secret(Credentials(file=str(tmp_path / "token")))
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["none", "None", " NONE ", "null", "dummy", "dummy-key", "pokeapi_dummy_key", "n/a", "not-needed", "no_key"]
)
def test_a_block_that_only_stands_in_for_one_holds_no_secret_by_its_name_or_by_its_content(name: str) -> None:
    def never(block: str) -> str:
        raise AssertionError(block)

    assert read_secret(Credentials(block=name)) is None
    assert read_secret(Credentials(block=name), never) is None
    assert read_secret(Credentials(block="pokeapi-api-key"), lambda _: name) is None


@pytest.mark.parametrize("secret", ["dummyx1", "xdummy", "nonesuch", "k-none", "0", "null0"])
def test_a_real_secret_is_not_taken_for_a_placeholder(secret: str) -> None:
    assert read_secret(Credentials(block="pokeapi-api-key"), lambda _: secret) == secret


def test_a_block_that_is_not_there_holds_no_secret_and_no_credentials_are_none() -> None:
    assert read_secret(Credentials(block="pokeapi-api-key"), lambda _: None) is None
    assert read_secret(None) is None


def test_what_stands_in_a_variable_is_sent_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "none")
    assert read_secret(Credentials(env="API_TOKEN")) == "none"
