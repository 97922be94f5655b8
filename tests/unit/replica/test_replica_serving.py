"""Under uvicorn, over a socket."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest

from trawl.model.errors import ConfigurationError
from trawl.replica import GeneratedCatalogue, ReplicaApp, running, serve

PROGRAM = """
from trawl.replica import GeneratedCatalogue, ReplicaApp, serve
serve(ReplicaApp(GeneratedCatalogue(10)), port=0, ready=lambda url: print(url, flush=True))
print("stopped", flush=True)
"""


def test_a_replica_runs_in_the_background_and_its_day_can_be_swapped() -> None:
    app = ReplicaApp(GeneratedCatalogue(50))
    with running(app) as url, httpx.Client() as client:
        first = client.get(f"{url}/meta/")
        unchanged = client.get(f"{url}/meta/", headers={"if-none-match": first.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        app.catalogue = GeneratedCatalogue(50, day=1)
        assert client.get(f"{url}/meta/").json() != first.json()
        assert client.head(f"{url}/item/").headers["content-length"] == str(len(client.get(f"{url}/item/").content))
    assert app.stats.requests == 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/").status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            serve(ReplicaApp(GeneratedCatalogue(10)), port=port, ready=print)
