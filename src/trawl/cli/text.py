"""Text of others on its way to a terminal: as it is, and without power over the terminal."""

import re

from rich.markup import escape

# Control characters, and those that turn the direction of what follows: a terminal would obey them. Lone surrogates: no
# stream can write them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, lines: bool = False) -> str:
    """A text as it is, but control characters and lone surrogates are shown escaped; `lines` leaves line breaks and tabs."""
    return _CONTROLS.sub(lambda found: found[0] if lines and found[0] in "\n\t" else _code(found[0]), text)


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def one_line(text: str) -> str:
    """A note of several lines as one: none of them is lost."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def verbatim(text: object) -> str:
    """A text of somebody's for the console, which would read markup: every text from an API, a lake or a file goes here."""
    return escape(visible(str(text)))


def shorten(text: str, width: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
