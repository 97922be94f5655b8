"""Tags that change while a run runs, and runs found again: what has finished today is not done once more.

    python examples/essentials.py

runs three stores' imports, one of which fails, and then again: only the one that failed is repeated. Teaches `tags`,
`update_tags`, `query_flow_runs` and names of the form parent.child. Each store is a subflow, seen on its own in the UI.
"""

from datetime import UTC, datetime

from prefect import flow, get_client, get_run_logger, tags
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import flow_run

PAGE = 200  # the most that Prefect's API gives at once


def update_tags(tags: list[str]) -> list[str]:
    """Add tags to the run that calls this; all that it has then. `flow_run.tags` still shows those it began with."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run.id)
        wanted = sorted({*run.tags, *tags})
        client.update_flow_run(run.id, tags=wanted)
    return wanted


async def aupdate_tags(tags: list[str]) -> list[str]:
    """As `update_tags`, in async flows."""
    async with get_client() as client:
        run = await client.read_flow_run(flow_run.id)
        wanted = sorted({*run.tags, *tags})
        await client.update_flow_run(run.id, tags=wanted)
    return wanted


def query_flow_runs(
    name_like: str | None = None,
    env: str | None = None,
    state_names: list[str] | None = None,
    start_time_min: datetime | None = None,
) -> list[FlowRun]:
    """All runs that fit, the newest first.

    Args:
        name_like: a part of the run's name (not of its flow's).
        env: what the run's tag `env:...` says, for example "pro".
        state_names: of these states, by name: "Completed", "Failed", "Held".
        start_time_min: begun at this instant or later; with a time zone.

    """
    wanted, found = _filter(name_like, env, state_names, start_time_min), []
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(
                flow_run_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=PAGE, offset=len(found)
            )
            found += page
            if len(page) < PAGE:
                return found


async def aquery_flow_runs(
    name_like: str | None = None,
    env: str | None = None,
    state_names: list[str] | None = None,
    start_time_min: datetime | None = None,
) -> list[FlowRun]:
    """As `query_flow_runs`, in async flows."""
    wanted, found = _filter(name_like, env, state_names, start_time_min), []
    async with get_client() as client:
        while True:
            page = await client.read_flow_runs(
                flow_run_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=PAGE, offset=len(found)
            )
            found += page
            if len(page) < PAGE:
                return found


def _filter(
    name_like: str | None, env: str | None, state_names: list[str] | None, start_time_min: datetime | None
) -> FlowRunFilter:
    if start_time_min is not None and start_time_min.tzinfo is None:
        raise ValueError(f"{start_time_min.isoformat()} has no time zone; write for example datetime.now(UTC)")
    return FlowRunFilter(
        name=FlowRunFilterName(like_=name_like) if name_like else None,
        tags=FlowRunFilterTags(all_=[f"env:{env}"]) if env else None,
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=state_names)) if state_names else None,
        start_time=FlowRunFilterStartTime(after_=start_time_min) if start_time_min else None,
    )


# -- an example --------------------------------------------------------------------------------------------


@flow(flow_run_name="import.{store}")
def import_store(store: str, broken: bool = False) -> int:
    """One store's import."""
    update_tags([f"store:{store}"])
    if broken:
        raise RuntimeError(f"the store {store} does not answer")
    return len(store)


@flow
def import_stores(stores: list[str], broken: list[str]) -> list[str]:
    """Import each store once a day: those that finished since midnight (UTC) are skipped. Returns what was imported."""
    log = get_run_logger()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    done = {run.name for run in query_flow_runs("import.", "pro", ["Completed"], midnight)}
    imported = []
    for store in stores:
        if f"import.{store}" in done:
            log.info("%s is done for today", store)
            continue
        state = import_store(store, store in broken, return_state=True)
        if state.is_completed():
            imported.append(store)
    return imported


def main() -> None:
    """Two runs of the same day."""
    stores = ["cerulean", "lavender", "pallet"]
    with tags("env:pro"):
        print("at first:", import_stores(stores, broken=["lavender"]))
        print("then:", import_stores(stores, broken=[]))


if __name__ == "__main__":
    main()
