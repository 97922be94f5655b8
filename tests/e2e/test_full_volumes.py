"""A volume that is full stops what needs it, says so, and costs nothing of what there was."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import CONTEXT, Prefect, kubectl, port_forward
from installing import apply, asked, install, own_namespace, ready

pytestmark = pytest.mark.long

NODE = f"{CONTEXT.removeprefix('kind-')}-control-plane"
RECORDS = "SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL"


def on_node(script: str) -> None:
    subprocess.run(["docker", "exec", NODE, "sh", "-c", script], check=True, capture_output=True, text=True)


@contextmanager
def small_volume(component: str, megabytes: int) -> Iterator[str]:
    """A volume that ends where it says, unlike kind's own: the claim that the chart's StatefulSet would make, of a tmpfs."""
    name = f"trawl-full-{component}"
    path, claimed = f"/mnt/{name}", f"data-trawl-{component}-0"
    on_node(f"mkdir -p {path} && mount -t tmpfs -o size={megabytes}m,mode=777 tmpfs {path}")
    size = {"storage": f"{megabytes}Mi"}
    both = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {**both, "capacity": size, "hostPath": {"path": path}}
    claim = {**both, "resources": {"requests": size}, "volumeName": name}
    try:
        with own_namespace(name) as namespace:
            apply(
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume},
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claimed}, "spec": claim},
                namespace=namespace,
            )
            yield namespace
    finally:
        kubectl("delete", "persistentvolume", name, "--ignore-not-found")
        on_node(f"umount -l {path}")


def run(namespace: str, timeout: float = 300, **parameters: object) -> tuple[str, str]:
    """A refresh's state, and what it said."""
    with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as prefect:
        run_id = prefect.start("refresh/refresh-pokeapi", **parameters)
        return prefect.wait(run_id, timeout)["state_type"], prefect.logs(run_id)


def fill(namespace: str) -> None:
    # By the node: what a pod writes to a tmpfs counts as its memory.
    with pytest.raises(subprocess.CalledProcessError) as full:
        on_node(f"cat /dev/zero > /mnt/{namespace}/filler")
    assert "No space left on device" in full.value.stderr


def test_a_full_minio_fails_the_run_with_the_reason_and_the_next_one_has_it_all():
    with small_volume("minio", 512) as namespace:
        install(namespace)
        assert run(namespace)[0] == "COMPLETED"
        before = asked(namespace, RECORDS)
        fill(namespace)
        state, said = run(namespace, force=True)
        assert state in {"FAILED", "CRASHED"}, said
        assert "full" in said.lower(), said
        on_node(f"rm /mnt/{namespace}/filler")
        assert run(namespace, force=True)[0] == "COMPLETED"
        assert asked(namespace, RECORDS) == before


def test_after_a_full_postgres_has_room_again_the_parts_come_up_and_a_run_completes():
    with small_volume("postgres", 512) as namespace:
        # A kept volume whose password is gone is refused: so this one comes with its own.
        kubectl("create", "secret", "generic", "own", "--from-literal=password=of-the-volume", namespace=namespace)
        install(namespace, "existingSecrets.postgres=own")
        assert run(namespace)[0] == "COMPLETED"
        fill(namespace)
        time.sleep(30)  # what the server writes by itself meets the end of the volume
        on_node(f"mount -o remount,size=1g /mnt/{namespace}")  # a volume that grows, as one in a cloud does
        ready(namespace)
        state, said = run(namespace)
        assert state == "COMPLETED", said
