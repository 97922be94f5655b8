"""nginx as the server of an unpacked snapshot: fast enough that the client is what is measured."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "nginx-light"  # Debian's name
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
_START_SECONDS = 10

# One process, which is nobody's service: it ends with the bench. As the live service, it gives whole lists whatever
# limit is asked for, answers with and without the last slash, knows no Last-Modified, and names its deploy.
_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  types {{}}
  default_type "application/json; charset=utf-8";
  server {{
    listen 127.0.0.1:{port};
    root "{root}";
    etag on;
    add_header Last-Modified "";
    add_header Cache-Control "public, max-age=86400, s-maxage=86400";
    add_header X-PokeAPI-Hash "{release[hash]}";
    add_header X-PokeAPI-Deploy-Date "{release[deploy_date]}";
    location /api/v2/ {{ rewrite ^(/api/v2/.*?)/*$ $1/index.json break; }}
  }}
}}
"""


def find() -> str | None:
    """Where nginx is; a user's PATH often lacks the place."""
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES]))


def version(program: str) -> str:
    """Its name and version: `nginx/1.22.1`."""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().removeprefix("nginx version: ")


def configuration(root: Path, port: int, release: dict[str, str]) -> str:
    """What nginx is told: `root` holds api/v2, `release` is what its meta document says."""
    return _CONFIGURATION.format(root=root, port=port, release=release)


@contextmanager
def serving(program: str, folder: Path) -> Iterator[str]:
    """Serve the snapshot unpacked in `folder` until the block ends; the value is the base URL."""
    release = json.loads((folder / "api/v2/meta/index.json").read_bytes())
    place, port = folder / "nginx", _free_port()
    place.mkdir()
    file = place / "nginx.conf"
    file.write_text(configuration(folder, port, release), encoding="utf-8")
    with subprocess.Popen([program, "-e", "stderr", "-p", str(place), "-c", str(file)]) as server:
        try:
            _await(server, port)
            yield f"http://127.0.0.1:{port}/api/v2"
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nginx did not start on port {port}")
