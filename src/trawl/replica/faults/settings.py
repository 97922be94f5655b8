"""Which faults there are, and how much of each: one frozen value, checked as a whole."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Self

from trawl.model.errors import ConfigurationError
from trawl.model.values import format_duration, parse_duration

FORMS = ("seconds", "date", "past", "negative", "zero", "fractional", "huge", "garbage", "missing")
"""The forms of Retry-After that occur in the wild."""

_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a fault's value is written, read and checked; `read` raises where it is not of that form."""

    form: str
    read: Callable[[Any], Any]


def _read_share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError
    return share


def _read_number(value: Any) -> int:
    number = int(value)
    if number < 0 or isinstance(value, float):
        raise ValueError
    return number


def _read_time(value: Any) -> timedelta:
    time = parse_duration(value)
    if time > _LONGEST:
        raise ValueError
    return time


def _read_form(value: Any) -> str:
    if value not in {*FORMS, "any"}:
        raise ValueError
    return str(value)


def _read_names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value.split(",") if name) if isinstance(value, str) else tuple(value)


_SHARE = _Kind("a share from 0 to 1", _read_share)
_NUMBER = _Kind("a whole number, 0 or more", _read_number)
_TIME = _Kind("a duration up to 1d, for example 0.5s", _read_time)
_FORM = _Kind(f"one of {', '.join(FORMS)}, or any", _read_form)
_NAMES = _Kind("names of endpoints, separated by commas", _read_names)


def _fault(default: Any, kind: _Kind, words: str) -> Any:
    return field(default=default, metadata={"kind": kind, "words": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How an API misbehaves; by default not at all.

    Every field takes its value as such or as text. Raises ConfigurationError for one that is out of range.
    """

    errors: float = _fault(0.0, _SHARE, "share of requests answered 500, 502, 503 or 504")
    resets: float = _fault(0.0, _SHARE, "share of requests whose connection is reset without an answer")
    latency: timedelta = _fault(timedelta(0), _TIME, "how long every request waits for its answer")  # noqa: RUF009
    slow: float = _fault(0.0, _SHARE, "share of bodies that arrive slowly, over `slow_time`")
    slow_time: timedelta = _fault(timedelta(seconds=1), _TIME, "how long a slow body takes")  # noqa: RUF009
    cut: float = _fault(0.0, _SHARE, "share of bodies that end half-way, and the connection with them")
    html: float = _fault(0.0, _SHARE, "share of requests answered by an HTML page with status 200")

    refused: float = _fault(0.0, _SHARE, "share of requests answered 429")
    storm_every: int = _fault(0, _NUMBER, "requests between two storms, in which all are refused; 0: no storms")
    storm_requests: int = _fault(10, _NUMBER, "requests that a storm refuses, if `storm_time` is not set")
    storm_time: timedelta = _fault(timedelta(0), _TIME, "how long a storm lasts; 0s: see `storm_requests`")  # noqa: RUF009
    retry_after: str = _fault("seconds", _FORM, "the form of Retry-After in a 429")
    wait: timedelta = _fault(timedelta(seconds=1), _TIME, "the cool-down that Retry-After asks for")  # noqa: RUF009

    torn: float = _fault(0.0, _SHARE, "share of lists and pages that lack some entries, with the count unchanged")
    repeated: float = _fault(0.0, _SHARE, "share of lists and pages that repeat the page before, or an entry")
    mixed: float = _fault(0.0, _SHARE, "share of lists and pages that are those of the day before")
    lost: float = _fault(0.0, _SHARE, "share of a list's entries that is lost; the count is reduced, too")
    lost_of: tuple[str, ...] = _fault((), _NAMES, "the lists that lose them, separated by commas; empty: all")

    flapping: float = _fault(
        0.0, _SHARE, "share of records that answer 404 to every other request, beginning with the first"
    )
    cache: float = _fault(
        0.0, _SHARE, "share of addresses that are cached, each separately, for as long as it allows (days), 404s too"
    )

    seed: int = _fault(0, _NUMBER, "with another seed, other requests are affected")

    def __post_init__(self) -> None:
        for each in fields(self):
            kind, value = each.metadata["kind"], getattr(self, each.name)
            try:
                object.__setattr__(self, each.name, kind.read(value))
            except (ValueError, TypeError, OverflowError, AttributeError):
                raise ConfigurationError(
                    f"the fault {each.name} cannot be {value!r}", remedy=f"give {kind.form}"
                ) from None

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read `name=value`, each. Raises ConfigurationError for a name that is none, with those that are."""
        known = [each.name for each in fields(cls)]
        given: dict[str, str] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            name = name.strip().replace("-", "_")
            if name not in known:
                raise ConfigurationError(f"there is no fault {name!r}", remedy=f"there are: {', '.join(known)}")
            if not equals or name in given:
                what = "is given twice" if name in given else "has no value"
                raise ConfigurationError(
                    f"the fault {name} {what}", remedy=f"write {name}=VALUE, once; VALUE is {_kinds(cls)[name].form}"
                )
            given[name] = value.strip()
        return cls(**given)  # type: ignore[arg-type]  # text is read like the rest

    @classmethod
    def describe(cls) -> str:
        """Every fault in a line: its name, its default and what it does, in Markdown."""
        return "\n".join(
            f"- `{each.name}={_written(each.default)}`: {each.metadata['words']}"
            + (f" ({_FORM.form})" if each.metadata["kind"] is _FORM else "")
            for each in fields(cls)
        )

    def check(self, *, before: bool) -> None:
        """Raise ConfigurationError where a fault needs the day before and there is none."""
        if self.mixed and not before:
            raise ConfigurationError(
                "the fault mixed needs the day before", remedy="say which that is (--before), or leave `mixed` out"
            )

    @property
    def bends(self) -> bool:
        """Whether the origin itself answers anything wrong."""
        return any((self.torn, self.repeated, self.mixed, self.lost, self.flapping))


def _kinds(faults: type[Faults]) -> dict[str, _Kind]:
    return {each.name: each.metadata["kind"] for each in fields(faults)}


def _written(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    return ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
