"""What an answer means for a record."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.canonical import parse
from trawl.model.decide import Rules, backoff, settle, unfetched
from trawl.model.records import Answer, Event, Failure, Op, Prior, Refusal, Result, Row, State

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
RULES = Rules(run="run-1", unordered=(("moves",),), tombstone_after=6 * DAY)
BODY = b'{"id":1,"moves":[1,2],"name":"bulbasaur"}'

NEW = Prior(
    endpoint="pokemon",
    key="1",
    label="bulbasaur",
    locator=None,
    event=Event.NEW,
    state=State.PRESENT,
    floor=NOW - TICK,
    version=0,
    etag=None,
    last_modified=None,
    byte_hash=None,
    canonical_hash=None,
    semantic_hash=None,
    source_version=None,
    source_order=None,
    bytes=None,
    first_seen=None,
    changed_at=None,
    payload_run=None,
    missing_since=None,
    refused_at=None,
    failures=0,
)
# What a thin row leaves as it was.
CONTENT = {
    "label",
    "locator",
    "etag",
    "last_modified",
    "byte_hash",
    "canonical_hash",
    "semantic_hash",
    "bytes",
    "first_seen",
    "changed_at",
    "payload_run",
    "version",
}


def answer(body: bytes | None = BODY, at: datetime = NOW, **more: object) -> Answer:
    return Answer(at, body, None if body is None else parse(body), **more)


def after(row: Row, prior: Prior = NEW) -> Prior:
    """What the next plan knows of a record, as it reads the log: thin rows leave the content as it was."""
    kept = CONTENT if row.version is None else set()
    known = {f.name: getattr(row, f.name) for f in fields(Prior) if hasattr(row, f.name) and f.name not in kept}
    label = prior.stored_label if row.version is None else row.label
    return replace(prior, **known, event=Event.NONE, floor=row.valid_from, stored_label=label)


def is_thin(row: Row) -> bool:
    return all(getattr(row, name) is None for name in CONTENT | {"payload"})


FIRST = settle(NEW, answer(etag='"a"', source_version="t1", source_order=100), RULES)
KNOWN = after(FIRST.row)
LOST = replace(KNOWN, event=Event.LOST)
MISSING = after(unfetched(LOST, NOW), KNOWN)


def test_the_first_content_is_the_first_version() -> None:
    row = FIRST.row
    assert (FIRST.result, row.op, row.version, row.state) == (Result.NEW, Op.PUT, 1, State.PRESENT)
    assert (row.payload, row.bytes, row.payload_run) == (BODY, len(BODY), "run-1")
    assert row.first_seen == row.changed_at == row.checked_at == row.observed_at == NOW


# -- what makes a version ----------------------------------------------------------------------------------


def test_another_meaning_is_the_next_version() -> None:
    later = settle(KNOWN, answer(BODY.replace(b"bulb", b"blub"), NOW + DAY), RULES)
    assert (later.result, later.row.op, later.row.version) == (Result.CHANGED, Op.PUT, 2)
    assert (later.row.first_seen, later.row.changed_at) == (NOW, NOW + DAY)
    assert b"blub" in later.row.payload


def test_a_reordering_is_stored_but_makes_no_version() -> None:
    body = BODY.replace(b"[1,2]", b"[2,1]")
    later = settle(KNOWN, answer(body, NOW + DAY), RULES)
    assert (later.result, later.row.op, later.row.version) == (Result.REORDERED, Op.PUT, 1)
    assert (later.row.payload, later.row.changed_at) == (body, NOW)
    assert later.row.semantic_hash == KNOWN.semantic_hash
    assert later.row.canonical_hash != KNOWN.canonical_hash


def test_a_reordered_list_that_is_not_declared_unordered_is_a_change() -> None:
    rules = replace(RULES, unordered=())
    known = after(settle(NEW, answer(), rules).row)
    later = settle(known, answer(BODY.replace(b"[1,2]", b"[2,1]"), NOW + DAY), rules)
    assert (later.result, later.row.version) == (Result.CHANGED, 2)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"bulbasaur","moves":[1,2],"id":1}',
        b'{"id": 1, "moves": [1, 2], "name": "bulbasaur"}',
        b'\xef\xbb\xbf{"id":1.0,"moves":[1e0,2],"name":"\\u0062ulbasaur"}',
    ],
)
def test_another_spelling_is_a_check_that_remembers_the_bytes(body: bytes) -> None:
    later = settle(KNOWN, answer(body, NOW + DAY), RULES)
    assert (later.result, later.row.op, later.row.version) == (Result.UNCHANGED, Op.CHECK, 1)
    assert later.row.payload is None
    assert (later.row.canonical_hash, later.row.payload_run) == (KNOWN.canonical_hash, "run-1")
    again = settle(after(later.row, KNOWN), answer(body, NOW + 2 * DAY), RULES)
    assert is_thin(again.row)


@pytest.mark.parametrize("body", [None, BODY])
def test_the_same_content_is_a_thin_check(body: bytes | None) -> None:
    later = settle(KNOWN, answer(body, NOW + DAY, etag='"a"'), RULES)
    assert (later.result, later.row.op, later.row.checked_at) == (Result.UNCHANGED, Op.CHECK, NOW + DAY)
    assert is_thin(later.row)


@pytest.mark.parametrize("moved", [{"etag": '"b"'}, {"last_modified": "Mon"}, {"label": "blub"}])
def test_a_new_validator_or_label_is_a_full_check_without_a_payload(moved: dict[str, str]) -> None:
    row = settle(KNOWN, answer(None, NOW + DAY, **moved), RULES).row
    assert (row.op, row.version, row.payload) == (Op.CHECK, 1, None)
    for name in CONTENT:
        assert getattr(row, name) == (moved | {name: moved.get(name, getattr(KNOWN, name))})[name]


def test_a_label_that_an_answer_does_not_name_is_kept() -> None:
    row = settle(KNOWN, answer(BODY.replace(b"[1,2]", b"[]"), NOW + DAY), RULES).row
    assert row.label == "bulbasaur"


# -- deploys -----------------------------------------------------------------------------------------------

OLDER = {"source_version": "t0", "source_order": 99}


def test_an_older_deploy_never_overwrites_a_newer() -> None:
    until = NOW + 3 * DAY
    later = settle(KNOWN, answer(b"{}", NOW + DAY, stale_until=until, **OLDER), RULES)
    assert (later.result, later.row.op, later.row.retry_at) == (Result.REGRESSED, Op.FAIL, until)
    assert later.row.reason.startswith("regressed")
    assert is_thin(later.row)
    assert (later.row.source_version, later.row.source_order) == ("t1", 100)


@pytest.mark.parametrize("body", [None, BODY])
def test_an_older_deploy_that_says_the_same_confirms_the_content_and_takes_no_credit(
    body: bytes | None,
) -> None:
    later = settle(KNOWN, answer(body, NOW + DAY, etag='"a"', **OLDER), replace(RULES, token="t1"))
    assert later.result is Result.UNCHANGED
    assert (later.row.source_version, later.row.source_order) == ("t1", 100)
    assert later.row.retry_at == NOW + DAY + timedelta(hours=1)


def test_a_rollback_that_is_meant_is_believed() -> None:
    later = settle(KNOWN, answer(b"{}", NOW + DAY, **OLDER), replace(RULES, believe_older=True))
    assert (later.result, later.row.source_version, later.row.source_order) == (Result.CHANGED, "t0", 99)


@pytest.mark.parametrize("deploy", [{}, {"source_version": "t2", "source_order": 100}, {"source_order": 101}])
def test_an_answer_that_is_not_known_to_be_older_is_believed(deploy: dict[str, object]) -> None:
    later = settle(KNOWN, answer(b"{}", NOW + DAY, **deploy), RULES)
    assert (later.result, later.row.source_order) == (Result.CHANGED, deploy.get("source_order", 100))


def test_the_first_content_may_be_of_any_deploy() -> None:
    prior = replace(NEW, source_version="t1", source_order=100)
    assert settle(prior, answer(**OLDER), RULES).result is Result.NEW


@pytest.mark.parametrize(
    ("version", "until", "wait"),
    [("t2", None, None), (None, None, None), ("t1", 5 * DAY, 5 * DAY), ("t1", None, timedelta(hours=1))],
)
def test_an_answer_out_of_an_old_cache_is_asked_for_again_when_that_expires(
    version: str | None, until: timedelta | None, wait: timedelta | None
) -> None:
    stale = None if until is None else NOW + until
    row = settle(NEW, answer(source_version=version, stale_until=stale), replace(RULES, token="t2")).row
    assert row.retry_at == (None if wait is None else NOW + wait)


# -- missing, gone, back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_refusal_of_a_listed_record_sets_it_aside(status: int) -> None:
    for prior in (KNOWN, NEW, replace(MISSING, event=Event.BACK)):
        later = settle(prior, Refusal(NOW + DAY, status, NOW + 5 * DAY), RULES)
        assert (later.result, later.row.op, later.row.state) == (Result.QUARANTINED, Op.FAIL, State.PRESENT)
        assert (later.row.refused_at, later.row.missing_since) == (None, None)
        assert str(status) in later.row.reason
        assert later.row.retry_at == NOW + 5 * DAY


def test_only_two_refusals_far_enough_apart_make_a_tombstone() -> None:
    first = settle(LOST, Refusal(NOW, 404), RULES)
    assert (first.result, first.row.op, first.row.state) == (Result.MISSING, Op.MISSING, State.MISSING)
    assert first.row.refused_at == first.row.missing_since == NOW
    missing = after(first.row, KNOWN)
    soon = settle(missing, Refusal(NOW + 6 * DAY - TICK, 404), RULES)
    assert (soon.row.op, soon.row.refused_at, soon.row.missing_since) == (Op.MISSING, NOW, NOW)
    gone = settle(after(soon.row, missing), Refusal(NOW + 6 * DAY, 410), RULES)
    assert (gone.result, gone.row.op, gone.row.state) == (Result.GONE, Op.GONE, State.GONE)
    assert gone.row.missing_since == NOW


def test_one_refusal_is_never_enough() -> None:
    eager = replace(RULES, tombstone_after=timedelta(0))
    for prior in (LOST, MISSING):
        assert settle(prior, Refusal(NOW + 400 * DAY, 404), eager).row.op is Op.MISSING


def test_a_refusal_from_before_the_record_was_last_listed_does_not_count() -> None:
    refused = after(settle(LOST, Refusal(NOW, 404), RULES).row, KNOWN)
    back = settle(replace(refused, event=Event.BACK), Failure(NOW + DAY, "no answer"), RULES)
    assert (back.row.state, back.row.refused_at) == (State.PRESENT, None)
    for known in (after(back.row, refused), replace(refused, state=State.PRESENT)):
        lost = settle(replace(known, event=Event.LOST), Refusal(NOW + 30 * DAY, 404), RULES)
        assert (lost.row.op, lost.row.refused_at) == (Op.MISSING, NOW + 30 * DAY)


def test_a_failure_between_two_refusals_forgets_nothing() -> None:
    refused = after(settle(LOST, Refusal(NOW, 404), RULES).row, KNOWN)
    failed = after(settle(refused, Failure(NOW + DAY, "no answer"), RULES).row, refused)
    assert (failed.state, failed.refused_at, failed.missing_since) == (State.MISSING, NOW, NOW)
    assert settle(failed, Refusal(NOW + 6 * DAY, 404), RULES).row.op is Op.GONE


def test_a_missing_record_that_answers_starts_its_refusals_anew() -> None:
    refused = after(settle(LOST, Refusal(NOW, 404), RULES).row, KNOWN)
    answered = settle(refused, answer(at=NOW + DAY), RULES)
    assert (answered.result, answered.row.state) == (Result.UNCHANGED, State.MISSING)
    assert (answered.row.refused_at, answered.row.missing_since) == (None, NOW)


@pytest.mark.parametrize("state", [State.MISSING, State.GONE])
@pytest.mark.parametrize("body", [None, BODY])
def test_a_returning_record_revives_with_the_content_it_had(state: State, body: bytes | None) -> None:
    prior = replace(KNOWN, state=state, event=Event.BACK, missing_since=NOW)
    back = settle(prior, answer(body, NOW + DAY), RULES)
    assert (back.result, back.row.op, back.row.state) == (Result.REVIVED, Op.REVIVE, State.PRESENT)
    assert (back.row.version, back.row.payload, back.row.missing_since) == (1, None, None)
    assert back.row.payload_run == "run-1"


def test_a_returning_record_may_have_changed() -> None:
    back = settle(replace(KNOWN, state=State.GONE, event=Event.BACK), answer(b"{}", NOW + DAY), RULES)
    assert (back.result, back.row.op, back.row.state) == (Result.REVIVED, Op.PUT, State.PRESENT)
    assert (back.row.version, back.row.first_seen) == (2, NOW)


# -- failures ----------------------------------------------------------------------------------------------


def test_the_waits_double_from_an_hour_to_five_days() -> None:
    hours = [backoff(n) / timedelta(hours=1) for n in range(1, 10)]
    assert hours == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert backoff(10**6) == 5 * DAY


def test_failures_are_counted_until_an_answer_comes() -> None:
    prior = KNOWN
    for number in (1, 2, 3):
        prior = after(settle(prior, Failure(NOW, "no answer"), RULES).row, prior)
        assert prior.failures == number
    assert settle(prior, answer(at=NOW + DAY), RULES).row.failures == 0


def test_a_failure_waits_its_turn_or_until_the_caches_forget_it() -> None:
    for asked, retry in (
        (None, NOW + timedelta(hours=1)),
        (NOW + DAY, NOW + DAY),
        (NOW - DAY, NOW + timedelta(hours=1)),
    ):
        assert settle(KNOWN, Failure(NOW, "x", asked), RULES).row.retry_at == retry


@pytest.mark.parametrize("result", [Result.QUARANTINED, Result.FORBIDDEN, Result.FAILED])
def test_a_failure_changes_no_content(result: Result) -> None:
    failed = settle(KNOWN, Failure(NOW + DAY, "why", result=result), RULES)
    assert (failed.result, failed.row.op, failed.row.reason) == (result, Op.FAIL, "why")
    assert is_thin(failed.row)
    assert after(failed.row, KNOWN).semantic_hash == KNOWN.semantic_hash


def test_a_new_record_that_fails_is_known_from_then_on() -> None:
    row = settle(NEW, Failure(NOW, "no answer"), RULES).row
    assert (row.label, row.version, row.first_seen, row.state) == ("bulbasaur", 0, NOW, State.PRESENT)
    first = settle(after(row), answer(at=NOW + DAY), RULES)
    assert (first.result, first.row.version, first.row.first_seen) == (Result.NEW, 1, NOW)


# -- every row ---------------------------------------------------------------------------------------------

ANSWERS = st.one_of(
    st.builds(
        answer,
        st.sampled_from([None, BODY, b"{}", BODY.replace(b"[1,2]", b"[2,1]"), b" " + BODY]),
        st.just(NOW),
        etag=st.sampled_from([None, '"a"', '"b"']),
        source_version=st.sampled_from([None, "t0", "t2"]),
        source_order=st.sampled_from([None, 99, 100, 101]),
    ),
    st.builds(Refusal, st.just(NOW), st.sampled_from([404, 410])),
    st.builds(
        Failure,
        st.just(NOW),
        st.just("why"),
        result=st.sampled_from([Result.FAILED, Result.QUARANTINED, Result.FORBIDDEN]),
    ),
)
PRIORS = st.builds(
    replace,
    st.just(KNOWN),
    state=st.sampled_from(State),
    event=st.sampled_from([Event.NONE, Event.BACK, Event.LOST]),
    floor=st.sampled_from([NOW - DAY, NOW, NOW + DAY]),
    refused_at=st.sampled_from([None, NOW - DAY, NOW - 30 * DAY]),
    failures=st.integers(0, 20),
)


@given(PRIORS, ANSWERS)
def test_valid_from_never_steps_back(prior: Prior, given: Answer | Refusal | Failure) -> None:
    row = settle(prior, given, RULES).row
    assert row.valid_from > prior.floor
    assert row.valid_from >= row.observed_at == NOW


@given(PRIORS, ANSWERS)
def test_a_row_is_thin_or_whole(prior: Prior, given: Answer | Refusal | Failure) -> None:
    row = settle(prior, given, RULES).row
    assert is_thin(row) or (row.version > 0 and row.semantic_hash and row.first_seen and row.payload_run)
    assert (row.op is Op.PUT) == (row.payload is not None)


@given(PRIORS, ANSWERS)
def test_only_another_meaning_counts_a_version(prior: Prior, given: Answer | Refusal | Failure) -> None:
    row = settle(prior, given, RULES).row
    if row.version is not None:
        assert row.version - prior.version == (row.semantic_hash != prior.semantic_hash)


@given(PRIORS, ANSWERS)
def test_the_order_of_what_is_stored_never_steps_back(prior: Prior, given: Answer | Refusal | Failure) -> None:
    assert settle(prior, given, RULES).row.source_order >= prior.source_order


@given(PRIORS, ANSWERS)
def test_nothing_listed_is_ever_gone(prior: Prior, given: Answer | Refusal | Failure) -> None:
    settled = settle(prior, given, RULES)
    if settled.row.op is Op.GONE:
        assert prior.state != State.PRESENT
        assert prior.event is Event.NONE
        assert prior.refused_at <= NOW - RULES.tombstone_after
    assert (settled.row.missing_since is None) == (settled.row.state == State.PRESENT)


def test_what_was_listed_but_not_asked_for_is_still_remembered() -> None:
    new = unfetched(NEW, NOW)
    assert (new.op, new.version, new.first_seen, new.label) == (Op.LISTED, 0, NOW, "bulbasaur")
    back = unfetched(replace(MISSING, event=Event.BACK), NOW + DAY)
    assert (back.op, back.state, back.version) == (Op.LISTED, State.PRESENT, None)
    lost = unfetched(LOST, NOW + DAY)
    assert (lost.op, lost.state, lost.missing_since) == (Op.MISSING, State.MISSING, NOW + DAY)
    assert unfetched(KNOWN, NOW) is None


def test_a_stored_payload_is_the_text_as_it_was_received() -> None:
    body = '\ufeff{ "name" : "Pok\\u00e9mon ♀", "n" : 1e2, "odd" : "\\ud800" }'.encode()
    row = settle(NEW, answer(body), RULES).row
    assert row.payload == body.removeprefix(b"\xef\xbb\xbf")
    assert json.loads(row.payload)["odd"] == "\ud800"
