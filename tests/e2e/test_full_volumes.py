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
    subprocess.run(["docker", "exec", NODE, "sh", "-c", script], check=True, capture_output=True)


@contextmanager
def small_volume(component: str, megabytes: int) -> Iterator[str]:
    """A volume that ends where it says, unlike kind's own: the claim that the chart's StatefulSet would make, of a tmpfs."""
    with own_namespace(f"trawl-full-{component}") as namespace:
        path = f"/mnt/{namespace}"
        on_node(f"mkdir -p {path} && mount -t tmpfs -o size={megabytes}m,mode=777 tmpfs {path}")
        size, access = {"storage": f"{megabytes}Mi"}, ["ReadWriteOnce"]
        volume = {"capacity": size, "accessModes": access, "hostPath": {"path": path}, "storageClassName": ""}
        claim = {
            "accessModes": access,
            "resources": {"requests": size},
            "volumeName": namespace,
            "storageClassName": "",
        }
        try:
            apply(
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": volume},
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": f"data-trawl-{component}-0"},
                    "spec": claim,
                },
                namespace=namespace,
            )
            yield namespace
        finally:
            kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=300s")
            kubectl("delete", "persistentvolume", namespace, "--ignore-not-found")
            on_node(f"umount -l {path}")


def run(namespace: str, timeout: float = 300, **parameters: object) -> tuple[str, str]:
    """A refresh's state, and what it said."""
    with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as prefect:
        run_id = prefect.start("refresh/refresh-pokeapi", **parameters)
        return prefect.wait(run_id, timeout)["state_type"], prefect.logs(run_id)


def fill(namespace: str, pod: str, folder: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as full:
        kubectl("exec", pod, "--", "sh", "-c", f"cat /dev/zero > {folder}/filler", namespace=namespace)
    assert "No space left on device" in full.value.stderr


def test_a_full_minio_fails_the_run_with_the_reason_and_the_next_one_has_it_all():
    with small_volume("minio", 512) as namespace:
        install(namespace)
        assert run(namespace)[0] == "COMPLETED"
        before = asked(namespace, RECORDS)
        fill(namespace, "trawl-minio-0", "/data")
        state, said = run(namespace, force=True)
        assert state in {"FAILED", "CRASHED"}, said
        assert "full" in said.lower(), said
        kubectl("exec", "trawl-minio-0", "--", "rm", "/data/filler", namespace=namespace)
        assert run(namespace, force=True)[0] == "COMPLETED"
        assert asked(namespace, RECORDS) == before


def test_a_full_postgres_comes_back_with_all_it_had_once_there_is_room():
    with small_volume("postgres", 512) as namespace:
        install(namespace)
        assert run(namespace)[0] == "COMPLETED"
        fill(namespace, "trawl-postgres-0", "/var/lib/postgresql/data")
        time.sleep(30)  # what the server writes by itself meets the end of the volume
        on_node(f"mount -o remount,size=1g /mnt/{namespace}")  # a volume that grows, as one in a cloud does
        ready(namespace)
        state, said = run(namespace)
        assert state == "COMPLETED", said
