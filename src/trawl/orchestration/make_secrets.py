"""Makes the Secrets of an installation inside the cluster, once, if they are not there.

    python -m trawl.orchestration.make_secrets NAME KEY=VALUE ... [-- NAME KEY=VALUE ...]

`{random}` in a value becomes a password. A Secret that exists is left alone whatever it holds, so that an
upgrade, a re-install over kept volumes or a GitOps tool never changes a password under a running database.
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
from http import HTTPStatus
from pathlib import Path

__all__ = ["main"]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ALPHABET = string.ascii_letters + string.digits


def parse(arguments: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Split the arguments into Secrets: a name and its keys."""
    groups: list[list[str]] = [[]]
    for argument in arguments:
        if argument == "--":
            groups.append([])
        else:
            groups[-1].append(argument)
    for name, *pairs in filter(None, groups):
        yield name, dict(pair.split("=", 1) for pair in pairs)


def manifest(name: str, values: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, object]:
    """The Secret. A password has 32 letters and digits: 190 bits, and safe in any URL."""
    password = "".join(secrets.choice(ALPHABET) for _ in range(32))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(labels)},
        "stringData": {key: value.replace("{random}", password) for key, value in values.items()},
    }


def create(secret: Mapping[str, object]) -> bool:
    """Create the Secret; False if one of its name exists."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    namespace = (ACCOUNT / "namespace").read_text()
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{host}:{port}/api/v1/namespaces/{namespace}/secrets",
        data=json.dumps(secret).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        urllib.request.urlopen(request, timeout=30, context=context).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.CONFLICT:
            return False
        raise SystemExit(f"The cluster refused the Secret: {error} {error.read().decode()}") from error
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Make each Secret that is not there, and say so."""
    labels = json.loads(os.environ.get("TRAWL_SECRET_LABELS", "{}"))
    for name, values in parse(sys.argv[1:] if arguments is None else arguments):
        made = create(manifest(name, values, labels))
        sys.stdout.write(f"{name}: {'made' if made else 'exists, left as it is'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
