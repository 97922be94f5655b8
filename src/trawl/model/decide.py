"""What an answer means for a record: pure decisions, one row each.

`prior` is what the log held, `answer` what came; the result is the row that the log will hold. Nothing is
ever decided from a clock of its own: the instant is the answer's.
"""

from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from .canonical import byte_hash, fingerprint
from .records import QUARANTINE, Answer, Event, Failure, Op, Prior, Refusal, Result, Row, Settled, State

_TICK = timedelta(microseconds=1)
_FIRST_RETRY = timedelta(hours=1)
_LAST_RETRY = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the decisions need of the source: one value per endpoint and run.

    Attributes:
        token: the API's version token in this run; an answer that carries another one came from an old cache.
        believe_older: take an answer of an older deploy than the stored content's (a rollback that is meant).

    """

    run: str
    unordered: tuple[tuple[str, ...], ...]
    tombstone_after: timedelta
    token: str | None = None
    believe_older: bool = False


def settle(prior: Prior, answer: Answer | Refusal | Failure, rules: Rules) -> Settled:
    """Decide one record."""
    match answer:
        case Answer():
            if _regressed(prior, answer, rules):
                reason = "regressed: an older deploy answered"
                return _failed(prior, Failure(answer.at, reason, answer.stale_until, Result.REGRESSED))
            return _answered(prior, answer, rules)
        case Refusal():
            return _refused(prior, answer, rules)
        case Failure():
            return _failed(prior, answer)
        case _:
            assert_never(answer)


def refused(status: int) -> str:
    """The reason of a record that the API refuses."""
    return f"refused: the API answers {status}"


def is_listed(prior: Prior) -> bool:
    """Whether the record stands in its listing: what the API then refuses is no step towards a tombstone."""
    return _state(prior) == State.PRESENT


def backoff(failures: int) -> timedelta:
    """When to ask again after the n-th failure in a row: 1 h, 2 h, 4 h, ... 5 d."""
    return min(_FIRST_RETRY * (1 << min(failures - 1, 10)), _LAST_RETRY)


def _regressed(prior: Prior, answer: Answer, rules: Rules) -> bool:
    """Whether an older deploy says something else than the stored content."""
    if answer.body is None or prior.version == 0 or not _older(prior, answer, rules):
        return False
    return byte_hash(answer.body) != prior.byte_hash


def _older(prior: Prior, answer: Answer, rules: Rules) -> bool:
    if rules.believe_older or answer.source_order is None or prior.source_order is None:
        return False
    return answer.source_order < prior.source_order


def _answered(prior: Prior, answer: Answer, rules: Rules) -> Settled:
    if answer.body is None:
        return _checked(prior, answer, rules)
    digest = byte_hash(answer.body)
    if digest == prior.byte_hash:
        return _checked(prior, answer, rules)
    marks = fingerprint(answer.value, rules.unordered)
    if marks.canonical == prior.canonical_hash:
        return _checked(prior, answer, rules, digest)
    same = marks.semantic == prior.semantic_hash
    first = prior.version == 0
    returned = prior.event == Event.BACK
    result = Result.NEW if first else Result.REVIVED if returned else Result.REORDERED if same else Result.CHANGED
    return Settled(
        _row(
            Op.PUT,
            prior,
            answer.at,
            **_deploy(prior, answer, rules),
            retry_at=_again(answer, rules),
            checked_at=answer.at,
            label=answer.label or prior.label,
            locator=answer.locator or prior.locator,
            etag=answer.etag,
            last_modified=answer.last_modified,
            byte_hash=digest,
            canonical_hash=marks.canonical,
            semantic_hash=marks.semantic,
            bytes=len(answer.body),
            version=prior.version if same else prior.version + 1,
            first_seen=prior.first_seen or answer.at,
            changed_at=prior.changed_at if same else answer.at,
            payload_run=rules.run,
            payload=answer.body.removeprefix(BOM_UTF8),
        ),
        result,
    )


def _checked(prior: Prior, answer: Answer, rules: Rules, digest: bytes | None = None) -> Settled:
    """The stored content still holds: a full row only where a validator or the label moved, or a thin one."""
    etag = answer.etag or prior.etag
    last_modified = answer.last_modified or prior.last_modified
    label = answer.label or prior.label
    validators = (etag, last_modified) != (prior.etag, prior.last_modified)
    path = answer.locator or prior.locator
    moved = digest is not None or validators or prior.event or label != prior.stored_label or path != prior.locator
    full: dict[str, Any] = (
        {
            "label": label,
            "locator": path,
            "etag": etag,
            "last_modified": last_modified,
            "byte_hash": digest or prior.byte_hash,
            "canonical_hash": prior.canonical_hash,
            "semantic_hash": prior.semantic_hash,
            "bytes": prior.bytes if answer.body is None else len(answer.body),
            "version": prior.version,
            "first_seen": prior.first_seen,
            "changed_at": prior.changed_at,
            "payload_run": prior.payload_run,
        }
        if moved
        else {}
    )
    returned = prior.event == Event.BACK
    row = _row(
        Op.REVIVE if returned else Op.MISSING if prior.event == Event.LOST else Op.CHECK,
        prior,
        answer.at,
        **_deploy(prior, answer, rules),
        retry_at=_again(answer, rules),
        checked_at=answer.at,
        **full,
    )
    return Settled(row, Result.REVIVED if returned else Result.UNCHANGED)


def _refused(prior: Prior, refusal: Refusal, rules: Rules) -> Settled:
    if is_listed(prior):
        reason = f"{QUARANTINE}{refused(refusal.status)}"
        return _failed(prior, Failure(refusal.at, reason, refusal.stale_until, Result.QUARANTINED))
    first = _first_refusal(prior)
    if first is not None and refusal.at - first >= rules.tombstone_after:
        return Settled(_row(Op.GONE, prior, refusal.at, state=State.GONE), Result.GONE)
    return Settled(_row(Op.MISSING, prior, refusal.at, refused_at=first or refusal.at), Result.MISSING)


def _first_refusal(prior: Prior) -> datetime | None:
    """Since when a missing record is refused: what was before it was last listed says nothing about it."""
    return prior.refused_at if _state(prior) == State.MISSING and prior.event != Event.LOST else None


def _failed(prior: Prior, failure: Failure) -> Settled:
    failures = prior.failures + 1
    known = prior.event != Event.NEW or prior.first_seen is not None
    row = _row(
        Op.FAIL,
        prior,
        failure.at,
        refused_at=_first_refusal(prior),
        failures=failures,
        retry_at=max(failure.at + backoff(failures), failure.retry_at or failure.at),
        reason=failure.reason,
        **({} if known else _first(prior, failure.at)),
    )
    return Settled(row, failure.result)


def _first(prior: Prior, at: datetime) -> dict[str, Any]:
    """What the first row of a record says where no content came yet."""
    return {"label": prior.label, "locator": prior.locator, "version": 0, "first_seen": at}


def _row(op: Op, prior: Prior, at: datetime, *, state: State | None = None, **fields: Any) -> Row:
    """A row about `prior`, whose `valid_from` never steps back behind what the log holds of it."""
    after = state or _state(prior)
    known = {"source_version": prior.source_version, "source_order": prior.source_order}
    return Row(
        op=op,
        endpoint=prior.endpoint,
        key=prior.key,
        state=after,
        valid_from=at if prior.floor is None else max(at, prior.floor + _TICK),
        observed_at=at,
        missing_since=None if after == State.PRESENT else prior.missing_since or at,
        **(known | fields),
    )


def _state(prior: Prior) -> State:
    match prior.event:
        case Event.NEW | Event.BACK:
            return State.PRESENT
        case Event.LOST:
            return State.MISSING
        case _:
            return State(prior.state)


def _deploy(prior: Prior, answer: Answer, rules: Rules) -> dict[str, Any]:
    """The deploy that the stored content is known to be of: the newer one, and its token with it."""
    if _older(prior, answer, rules):
        return {}
    order = prior.source_order if answer.source_order is None else answer.source_order
    return {"source_version": answer.source_version, "source_order": order}


def _again(answer: Answer, rules: Rules) -> datetime | None:
    """An answer of another deploy than the run's came from a cache: ask again once that may have expired."""
    if rules.token is None or answer.source_version in {None, rules.token}:
        return None
    return answer.stale_until or answer.at + _FIRST_RETRY


def unfetched(prior: Prior, at: datetime) -> Row | None:
    """What the listing alone teaches of a record that was planned, but not asked for (no budget was left)."""
    match prior.event:
        case Event.NEW:
            return _row(Op.LISTED, prior, at, **_first(prior, at))
        case Event.BACK:
            return _row(Op.LISTED, prior, at, retry_at=at)  # what it holds now is still to be seen
        case Event.LOST:
            return _row(Op.MISSING, prior, at)
        case _:
            return None
