"""Transactions: several tasks count together or not at all, and what was done once is not done again.

    python examples/transactions.py

Files are written and then checked. Where the check fails, the rollback hooks take the files away; where it holds, the
transaction is committed under its key, and the next run finds it so.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import flow, get_run_logger, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.locking.memory import MemoryLockManager
from prefect.transactions import IsolationLevel, Transaction, transaction

LOCKS = MemoryLockManager()
"""Locks that hold in this process, between two that ask: in Prefect 3.8 a third that comes while the lock goes from one to
the next makes another of the same name, and somebody waits for ever. Where more ask, on one machine or on several, use
those of prefect-redis. (`FileSystemLockManager` is no way out: two that ask at the same instant may read half a lock.)"""


@task
def write(path: Path, text: str) -> None:
    """One step. What it did must be told to the transaction, for its hooks have no other memory."""
    path.write_text(text)


@write.on_rollback
def take_away(transaction: Transaction) -> None:
    """Called for each finished `write`, if something after it failed. What it raises is only logged: so test it."""
    for path in transaction.get("paths"):
        path.unlink(missing_ok=True)


@write.on_commit
def say_written(transaction: Transaction) -> None:
    """Called once all of it holds."""
    print(f"{len(transaction.get('paths'))} files hold")


@task
def check(paths: list[Path], most: int) -> None:
    """Refuses files that are too long."""
    if too_long := [path.name for path in paths if path.stat().st_size > most]:
        raise ValueError(f"too long: {', '.join(too_long)}")


@flow(log_prints=True)
def publish(folder: Path, edition: str, texts: dict[str, str], most: int = 1_000) -> str:
    """All texts, or none; each edition once. Says what it did: "published", or "was published"."""
    # The result of a committed transaction is kept under its key: so the key must tell everything apart.
    with transaction(key=f"edition-{edition}", write_on_commit=True) as whole:
        if whole.is_committed():
            get_run_logger().info("%s is out already", edition)
            return "was published"
        paths = [folder / f"{name}.txt" for name in texts]
        whole.set("paths", paths)
        for path, text in zip(paths, texts.values(), strict=True):
            write(path, text)
        check(paths, most)
        whole.stage({"edition": edition, "files": [path.name for path in paths]})
    return "published"


@task(
    # Without a lock, two tasks that begin at once both miss the cache. So the first one computes and the other waits.
    cache_policy=(TASK_SOURCE + INPUTS).configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=LOCKS),
)
def expensive(number: int, log: Path) -> int:
    """Something that should be computed once, whoever asks at the same time."""
    with log.open("a") as file:
        file.write(f"{number}\n")
    return number**2


@flow
def at_once(number: int, log: Path) -> list[int]:
    """The same question twice at once."""
    return [future.result() for future in [expensive.submit(number, log) for _ in range(2)]]


def main() -> None:
    """A failure, its repair, and a repetition."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        texts = {"intro": "Once upon a time", "end": "The end. " * 200}
        edition = folder.name
        state = publish(folder, edition, texts, return_state=True)
        print(state.name, "-", [path.name for path in folder.iterdir()])
        texts["end"] = "The end."
        print(publish(folder, edition, texts), "-", sorted(path.name for path in folder.iterdir()))
        print(publish(folder, edition, texts))


if __name__ == "__main__":
    main()
