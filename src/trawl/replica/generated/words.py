"""Names for generated records, and the chance that their contents are made of."""

_FIRST = (
    *("amber", "ashen", "bright", "cinder", "coral", "dusk", "ember", "fallow", "frost", "gale", "gloom"),
    *("hollow", "iron", "ivory", "jade", "keen", "lunar", "misty", "mossy", "noble", "opal", "pale", "quiet"),
    *("rapid", "rusty", "silent", "solar", "stormy", "tidal", "umber", "verdant", "wild"),
)
_SECOND = (
    *("badger", "bloom", "claw", "crest", "drake", "fang", "feather", "finch", "flare", "fox", "heron"),
    *("horn", "ibis", "kite", "leaf", "lynx", "marten", "moth", "newt", "otter", "petal", "pike", "quill"),
    *("raven", "root", "shell", "spark", "stoat", "stone", "thorn", "vole", "wing"),
)
_ODD = ("jalapeño", "kofu’s-wallet", "z--held", "damage+ailment", "ポケモン")  # noqa: RUF001 - as in the real data
_ODD_EVERY = 97
_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(number: int) -> int:
    """A well-mixed 64-bit number for a number (the finaliser of SplitMix64)."""
    number &= _MASK
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


def name_of(salt: int, number: int) -> str:
    """A name that no other number has: now and then one that is no slug, as in the real data."""
    if number % _ODD_EVERY == _ODD_EVERY - 1:
        return f"{_ODD[number // _ODD_EVERY % len(_ODD)]}-{number}"
    mixed = (number * _GOLDEN ^ salt) & _MASK
    return f"{_FIRST[mixed >> 59]}-{_SECOND[mixed >> 54 & 31]}-{number}"


def _phrase(number: int) -> str:
    mixed = mix(number)
    words = (_FIRST, _SECOND, _FIRST, _SECOND)
    return " ".join(choice[mixed >> 5 * place & 31] for place, choice in enumerate(words))


_PHRASES = tuple(_phrase(number) for number in range(1_000))


class Dice:
    """Numbers that look random and follow from a seed alone."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def roll(self, sides: int) -> int:
        """A number from 0 to sides - 1."""
        self._state = (self._state + _GOLDEN) & _MASK
        return mix(self._state) % sides

    def words(self, count: int) -> str:
        """A line of prose, four words at a time."""
        phrases = (_PHRASES[self.roll(len(_PHRASES))] for _ in range(count // 4))
        return f"{' '.join(phrases).capitalize()}."
