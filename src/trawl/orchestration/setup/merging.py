"""What set-up does to a server, decided before anything is done: made, changed, left, removed. Pure.

Three values of each field decide: what is wanted, what is found, and what set-up wrote there last. What is found and was
never written by set-up is a person's, and is left.

    wanted 10, found 10                   up to date
    wanted 20, found 10, last written 10  changed
    wanted 20, found 15, last written 10  left: a person edited it
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

__all__ = ["ABSENT", "Change", "Found", "Key", "Memory", "Step", "Wanted", "plan"]

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "nothing", "__bool__": lambda _: False})()
"""The value of a field that is not there. None counts as the same: the server knows no difference."""

Key = tuple[str, str]
"""Kind and name of an object."""

Action = Literal["make", "change", "same", "left", "remove"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object as it should be.

    Attributes:
        fields: what set-up looks after, each on its own.
        once: what is said when it is made, and is the operator's from then on.
        secret: the fields whose values are never shown.
        always: the fields that nobody edits by hand, and that are set whatever is found.

    """

    kind: str
    name: str
    fields: Mapping[str, Any]
    once: Mapping[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()

    @property
    def key(self) -> Key:
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the server has it; `ours` says that nobody but Trawl makes such an object."""

    id: str
    fields: Mapping[str, Any]
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One field's value before and after."""

    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one object. `left` names the fields that are a person's; `foreign` says that all of it is."""

    action: Action
    key: Key
    wanted: Wanted | None = None
    found: Found | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Hashes of what set-up wrote, by object and field; salted, so that they tell nothing of a secret.

    A field has several hashes while a set-up is at work: it writes down first what it is about to write, so that one that is
    killed in between recognises its own work the next time.
    """

    salt: str
    written: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any], salt: str) -> Self:
        """From what `to_dict` gave; `salt` is for a memory that holds nothing yet."""
        written = {
            name: {part: tuple(hashes) for part, hashes in fields.items()}
            for name, fields in data.get("written", {}).items()
        }
        return cls(data.get("salt") or salt, written)

    def to_dict(self) -> dict[str, Any]:
        return {
            "salt": self.salt,
            "written": {
                name: {part: list(hashes) for part, hashes in sorted(fields.items())}
                for name, fields in sorted(self.written.items())
            },
        }

    def keys(self) -> list[Key]:
        return [_key_of(name) for name in self.written]

    def knows(self, key: Key) -> bool:
        return _name_of(key) in self.written

    def has(self, key: Key, part: str) -> bool:
        return part in self.written.get(_name_of(key), {})

    def wrote(self, key: Key, part: str, value: Any) -> bool:
        return self.hash(value) in self.written.get(_name_of(key), {}).get(part, ())

    def hash(self, value: Any) -> str:
        text = json.dumps(None if value is ABSENT else value, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8, key=self.salt.encode()[:64]).hexdigest()

    def expecting(self, steps: Iterable[Step]) -> Self:
        """With what these steps will write, beside what was written before."""
        return self._with(steps, keep=True)

    def after(self, steps: Iterable[Step]) -> Self:
        """With what these steps wrote, alone."""
        return self._with(steps, keep=False)

    def joined(self, other: Self, since: Self) -> Self:
        """With what another set-up wrote down while this one worked (`other`, where it is not in `since`)."""
        written = {name: dict(fields) for name, fields in self.written.items()}
        for name, fields in other.written.items():
            for part, hashes in fields.items():
                news = tuple(one for one in hashes if one not in since.written.get(name, {}).get(part, ()))
                if news:
                    own = written.setdefault(name, {}).get(part, ())
                    written[name][part] = tuple(dict.fromkeys((*own, *news)))
        return type(self)(self.salt, written)

    def _with(self, steps: Iterable[Step], *, keep: bool) -> Self:
        written = dict(self.written)
        for step in steps:
            name = _name_of(step.key)
            if step.action == "remove":
                if not keep:
                    written.pop(name, None)
                continue
            if step.wanted is None or not self._concerns(step):
                continue
            before = self.written.get(name, {})
            fields: dict[str, tuple[str, ...]] = {part: before[part] for part in step.left if part in before}
            for part, value in step.wanted.fields.items():
                if part not in step.left:
                    fields[part] = tuple(
                        dict.fromkeys(((*before.get(part, ()),) if keep else ()) + (self.hash(value),))
                    )
            written[name] = {**before, **fields} if keep else fields
        return type(self)(self.salt, written)

    def _concerns(self, step: Step) -> bool:
        """Whether the object is set-up's: what somebody else made, and is as it should be, stays theirs."""
        if step.action in {"make", "change"} or self.knows(step.key):
            return True
        return step.found is not None and step.found.ours


def plan(
    wanted: Iterable[Wanted], found: Mapping[Key, Found], memory: Memory, *, overwrite: bool = False
) -> list[Step]:
    """What is to be done, in the order of what is wanted; then what is no longer wanted, last made first."""
    wishes = list(wanted)
    steps = [_step(wish, found.get(wish.key), memory, overwrite=overwrite) for wish in wishes]
    keys = {wish.key for wish in wishes}
    for key, there in reversed(list(found.items())):
        if key in keys or not (there.ours or memory.knows(key)):
            continue
        edited = _edited(key, there.fields, memory) if memory.knows(key) else ()
        if edited and not overwrite:
            steps.append(Step("left", key, found=there, left=edited))
        else:
            steps.append(Step("remove", key, found=there))
    return steps


def _step(wish: Wanted, there: Found | None, memory: Memory, *, overwrite: bool) -> Step:
    if there is None:
        return Step("make", wish.key, wish, changes={part: Change(ABSENT, new) for part, new in wish.fields.items()})
    changes: dict[str, Change] = {}
    left: list[str] = []
    known = memory.knows(wish.key)
    parts = dict.fromkeys([*wish.fields, *(part for part in there.fields if memory.has(wish.key, part))])
    for part in parts:
        old, new = there.fields.get(part, ABSENT), wish.fields.get(part, ABSENT)
        if is_same(old, new):
            continue
        if part in wish.always:
            own = True
        elif memory.has(wish.key, part):
            own = memory.wrote(wish.key, part, old)
        else:
            own = is_empty(old) or (there.ours and not known)
        if own or overwrite:
            changes[part] = Change(old, new)
        else:
            left.append(part)
    action: Action = "change" if changes else "left" if left else "same"
    return Step(action, wish.key, wish, there, changes, tuple(left), foreign=not (known or there.ours))


def _edited(key: Key, fields: Mapping[str, Any], memory: Memory) -> tuple[str, ...]:
    remembered = memory.written[_name_of(key)]
    return tuple(part for part in remembered if not memory.wrote(key, part, fields.get(part, ABSENT)))


def is_empty(value: Any) -> bool:
    return value is ABSENT or value is None


def is_same(one: Any, other: Any) -> bool:
    return (is_empty(one) and is_empty(other)) or one == other


def _name_of(key: Key) -> str:
    return ": ".join(key)


def _key_of(name: str) -> Key:
    kind, _, rest = name.partition(": ")
    return kind, rest
