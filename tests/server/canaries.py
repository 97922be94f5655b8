"""Whether a secret stands in some bytes, in any of the forms in which programs write one."""

from base64 import b64encode
from urllib.parse import quote, quote_plus


def forms(secret: str) -> set[bytes]:
    """The secret as text, escaped for an address, in hex, and in base64 (alone, or inside of something longer)."""
    plain = secret.encode()
    found = {plain, quote(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {plain.hex().encode(), plain.hex().upper().encode()}
    for before, skip in ((0, 0), (1, 2), (2, 3)):  # base64 looks different at each third place
        whole = b64encode(b"\0" * before + plain)
        inner = whole[skip : (before + len(plain)) * 8 // 6]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def stands_in(secret: str, text: bytes) -> bool:
    return any(form in text for form in forms(secret))
