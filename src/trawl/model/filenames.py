"""A record's key as the name of a file, on every file system."""

import hashlib
import string

_KEPT = frozenset((string.ascii_lowercase + string.digits + "_-.").encode())
_LONGEST = 150  # characters; a path may have 255 a name, and an extension and a temporary mark come to it
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(10))]
)


def safe_name(key: str) -> str:
    """A file's name for a key: lower-case letters, digits, `_`, `-`, `.` as they are, every other byte as `%xx`.

    Two keys never share a name, not even where case is ignored. No name leaves its folder, is hidden, or is one that
    Windows keeps for itself. What would be too long ends in its hash.
    """
    name = "".join(chr(byte) if byte in _KEPT else f"%{byte:02x}" for byte in key.encode("utf-8", "surrogatepass"))
    if not name:
        return "%"
    if name[0] == "." or name.partition(".")[0] in _RESERVED:
        name = f"%{ord(name[0]):02x}{name[1:]}"
    if name[-1] == ".":
        name = f"{name[:-1]}%2e"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[: _LONGEST - 64]}%{digest}"
