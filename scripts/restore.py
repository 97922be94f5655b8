"""Makes a backup by hand, says which there are, or puts one back. `make backup`, `make backups` and `make restore` call it."""

import os
import sys

from cluster import Cluster, Json, Refused, name_of, say


def fetch_of(job: Json) -> Json:
    """The container that reads the backups."""
    pod = job["spec"]["template"]["spec"]
    return next(one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == "fetch")


def listing(job: Json) -> Json:
    """A Job that only says what there is."""
    fetch = fetch_of(job)
    fetch["args"] = [*(word for word in fetch["args"] if not word.startswith("--files-to")), "--list"]
    pod = job["spec"]["template"]["spec"]
    pod.pop("initContainers", None)
    pod["containers"] = [fetch]
    return job


def restoring(job: Json, at: str, dump: str) -> Json:
    """A Job that restores a backup, or a dump alone."""
    fetch_of(job)["args"] += [f"--only-file={dump}"] if dump else [f"--at={at}"] if at else []
    return job


def restore(cluster: Cluster, at: str, dump: str) -> None:
    job = restoring(cluster.job_of("restore"), at, dump)
    database = any(one["name"] == "database" for one in job["spec"]["template"]["spec"]["containers"])
    if dump and not database:
        raise Refused("This release has no database of Prefect's: there is nothing that a dump could be put into.")
    if dump and not os.environ.get("FORCE"):
        raise Refused(
            f"All that Prefect's database holds is replaced by {dump}; the lake is left as it is.",
            "  If that is what you want, add FORCE=1.",
        )
    cluster.refuse_running("a restore takes their server away")
    with cluster.stopped("worker"):
        with cluster.stopped("server", "services"):
            cluster.run(job)
        cluster.ready("deployment", cluster.deployments("server", "services"))
        if not dump:
            cluster.set_up_again()  # what the backup says of keys and addresses is the old installation's
    cluster.ready("deployment", cluster.deployments("worker"))
    say(f"restored{f': {dump}' if dump else ''}")


def main() -> None:
    cluster = Cluster.of_environment()
    match sys.argv[1:]:
        case ["backup"]:
            cluster.run(cluster.job_of("backup"))
        case ["list"]:
            job = cluster.job_of("restore")
            job["metadata"]["name"] = name_of(job).replace("-restore-", "-backups-")
            cluster.run(listing(job))
        case ["restore"]:
            restore(cluster, os.environ.get("AT", ""), os.environ.get("DUMP", ""))
        case _:
            raise Refused("usage: scripts/restore.py backup|list|restore")


if __name__ == "__main__":
    main()
