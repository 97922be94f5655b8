"""A body is what its bytes say, in the charset that it declares."""

import pytest

from trawl.model.documents import read_json, utf8
from trawl.model.errors import BrokenBody

TEXT = '{"name": "Zoë €"}'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode(), "application/json; charset=UTF-8"),
        (TEXT.encode(), "text/html"),
        (TEXT.encode("cp1252"), 'application/json; charset="windows-1252"'),
        (TEXT.encode("iso8859-15"), "application/json;charset=ISO-8859-15"),
        (TEXT.encode("utf-16"), "application/json; charset=utf-16"),
        (TEXT.encode("utf-16-be"), "application/json; charset=utf-16"),
        (TEXT.encode("utf-16-le"), "application/json"),
        (TEXT.encode("utf-16"), ""),
        (TEXT.encode("utf-32-be"), ""),
    ],
)
def test_a_body_is_read_in_its_charset_and_kept_as_utf8(body: bytes, content_type: str) -> None:
    found = read_json(body, content_type)
    assert (found.text, found.value) == (TEXT.encode(), {"name": "Zoë €"})


def test_a_body_in_utf8_is_not_copied() -> None:
    body = TEXT.encode()
    assert utf8(body, "application/json; charset=utf-8") is body
    assert utf8(body) is body


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (TEXT.encode("cp1252"), "application/json", "not JSON"),
        (TEXT.encode("cp1252"), "application/json; charset=utf-16", "does not decode as utf-16"),
        (b'"\x81"', "application/json; charset=cp1252", "does not decode as cp1252"),
        (TEXT.encode(), "application/json; charset=klingon", "its charset 'klingon' is unknown"),
        (b"<!DOCTYPE html><title>\n Sign in </title>", "application/json", r'an HTML page \("Sign in"\)'),
        (b"  <html><body>", "", "an HTML page"),
        (b"Too busy", "text/html; charset=utf-8", "an HTML page"),
        (b"<note/>", "application/xml", "not JSON: "),
    ],
)
def test_what_cannot_be_read_is_named_as_what_it_is(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(BrokenBody, match=reason):
        read_json(body, content_type)
