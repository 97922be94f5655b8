"""Makes the Secrets of an installation inside the cluster, once, if they are not there.

    python -m trawl.orchestration.make_secrets NAME [--unless-volume=CLAIM] KEY=VALUE ... [-- NAME ...]

`{random}` in a value becomes a password. A Secret that exists is left alone whatever it holds, so that an
upgrade, a re-install over kept volumes or a GitOps tool never changes a password under a running database.
Where the Secret is lost and its volume is not, a new password would open nothing: that is an error.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import string
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

__all__ = ["main"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ALPHABET = string.ascii_letters + string.digits

_VOLUME = "--unless-volume="


@dataclass(frozen=True, slots=True)
class Asked:
    """A Secret to make, unless the volume that its password opens is there already."""

    name: str
    values: dict[str, str]
    volume: str | None = None


def parse(arguments: Sequence[str]) -> Iterator[Asked]:
    """Split the arguments into Secrets: a name and its keys."""
    groups: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "--":
            groups.append([])
        else:
            groups[-1].append(argument)
    for name, *rest in filter(None, groups):
        volumes = [word.removeprefix(_VOLUME) for word in rest if word.startswith(_VOLUME)]
        pairs = (word.split("=", 1) for word in rest if not word.startswith(_VOLUME))
        yield Asked(name, dict(pairs), volumes[0] if volumes else None)


def manifest(name: str, values: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, object]:
    """The Secret. A password has 32 letters and digits: 190 bits, and safe in any URL."""
    password = "".join(secrets.choice(ALPHABET) for _ in range(32))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(labels)},
        "stringData": {key: value.replace("{random}", password) for key, value in values.items()},
    }


def create(secret: Mapping[str, object], *, dry_run: bool = False) -> bool:
    """Create the Secret, or only try to; False if one of its name exists."""
    status = _call("secrets" + ("?dryRun=All" if dry_run else ""), json.dumps(secret).encode())
    return status != HTTPStatus.CONFLICT


def volume_exists(claim: str) -> bool:
    return _call(f"persistentvolumeclaims/{claim}") != HTTPStatus.NOT_FOUND


def _call(path: str, body: bytes | None = None) -> int:
    """The answer's status. Raises SystemExit for a refusal that is none of 404 and 409."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    namespace = (ACCOUNT / "namespace").read_text()
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/namespaces/{namespace}/{path}",
        data=body,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            status: int = answer.status
    except urllib.error.HTTPError as error:
        if error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            return error.code
        raise SystemExit(f"the cluster refuses {path}: {error} {error.read().decode()}") from error
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Make each Secret that is not there, and say so; 1 if one is lost whose volume is not."""
    labels = json.loads(os.environ.get("TRAWL_SECRET_LABELS", "{}"))
    for asked in parse(sys.argv[1:] if arguments is None else arguments):
        secret = manifest(asked.name, asked.values, labels)
        if asked.volume and create(secret, dry_run=True) and volume_exists(asked.volume):
            sys.stderr.write(
                f"trawl: the Secret {asked.name} is gone, but the volume {asked.volume} that its password opens is there. "
                f"Restore the Secret from a backup, or set a new password: docs/cluster.md, 'A lost Secret'\n"
            )
            return 1
        made = create(secret)
        sys.stdout.write(f"{asked.name}: {'made' if made else 'exists, left as it is'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
