"""Gives a store, or the API, a new password: make rotate SECRET=api|postgres|minio|s3|valkey.

The password goes from here to kubectl by standard input, never in a command line. What is stopped half way is mended by
doing it again.
"""

import base64
import json
import os
import secrets
import string
import sys

from cluster import Cluster, Refused, name_of, say

KINDS = ("api", "postgres", "minio", "s3", "valkey")
_LETTERS = string.ascii_letters + string.digits


def new_password() -> str:
    """As the chart makes them: 190 bits, and safe in any URL."""
    return "".join(secrets.choice(_LETTERS) for _ in range(32))


def fields_of(kind: str, held: dict[str, str], password: str) -> dict[str, str]:
    """What of the Secret changes; its user stays."""
    match kind:
        case "api":
            user = held.get("auth-string", "admin:").partition(":")[0]
            return {"auth-string": f"{user}:{password}", "username": user, "password": password}
        case "minio":
            return {"root-password": password}
        case "s3":
            return {"secret-key": password}
        case _:
            return {"password": password}


def set_secret(cluster: Cluster, name: str, fields: dict[str, str]) -> None:
    say(f"new password in the Secret {name}")
    cluster.kubectl("patch", "secret", name, "--patch-file=/dev/stdin", given=json.dumps({"stringData": fields}))


def tell_postgres(cluster: Cluster, password: str) -> None:
    """By the socket in its own pod, which asks for no password."""
    pods = [pod for pod in cluster.objects("pods", "postgres") if pod["status"].get("phase") == "Running"]
    if not pods:
        raise Refused(
            "Postgres does not run: its pod must, to be told. Its Secret has the new password; do it again then."
        )
    # Quoted by psql itself, whatever the user is called; the statement is in no log.
    sql = f"\\set password '{password}'\nSET log_statement = 'none';\nALTER USER :\"user\" PASSWORD :'password';\n"
    shell = 'exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=user="$POSTGRES_USER" -U "$POSTGRES_USER" -d "$POSTGRES_DB"'
    say(f"tell {name_of(pods[0])}")
    cluster.kubectl("exec", "--stdin", name_of(pods[0]), "--container=postgres", "--", "sh", "-c", shell, given=sql)


def rotate(cluster: Cluster, kind: str) -> None:
    name = cluster.secret(kind)
    data = json.loads(cluster.kubectl("get", "secret", name, "--output", "json")).get("data", {})
    held = {key: base64.b64decode(value).decode() for key, value in data.items()}
    cluster.refuse_running("they would lose what they reach with the old password")
    password = new_password()
    # Without workers no run begins with the old password in the seconds between.
    with cluster.stopped("worker"):
        set_secret(cluster, name, fields_of(kind, held, password))
        match kind:
            case "postgres":
                tell_postgres(cluster, password)
                cluster.restart("deployment", "server", "services")
            case "valkey":
                cluster.restart("statefulset", "valkey")
                cluster.restart("deployment", "server", "services")
            case "api":
                cluster.restart("deployment", "server", "services")
            case "minio":
                cluster.restart("statefulset", "minio")
            case "s3":
                cluster.set_up_again()  # it gives MinIO's user, and the blocks, the new key
    cluster.ready("deployment", cluster.deployments("worker"))
    say(f"{kind} has a new password")


def main() -> None:
    kind = os.environ.get("SECRET", "")
    if kind not in KINDS or sys.argv[1:]:
        raise Refused(f"SECRET must be one of {', '.join(KINDS)}, and is {kind!r}: make rotate SECRET=postgres")
    rotate(Cluster.of_environment(), kind)


if __name__ == "__main__":
    main()
