"""Pictures of Prefect's UI for the documentation, made by a real server, real runs and a headless Chromium.

python scripts/screenshots.py            # into docs/images
python scripts/screenshots.py FOLDER
"""

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from trawl.replica import GeneratedCatalogue, ReplicaApp, running

ROOT = Path(__file__).parents[1]
RECORDS = 1_200
WIDTH, HEIGHT = 1180, 780
PATIENCE = 300.0
SETUP = f"""
sources: {{pokeapi: {{discover: {{cron: ""}}, refresh: {{cron: ""}}, maintain: {{cron: ""}}}}}}
deployments:
  showcase: {{entrypoint: "examples/showcase.py:showcase", directory: "{ROOT}"}}
"""


class Ui:
    """A Prefect server with its worker, as `trawl serve` starts them."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, body: Any = None) -> Any:
        for _ in range(60):
            answer = httpx.request(
                "GET" if body is None else "POST", f"{self.address}/api/{path}", json=body, timeout=60
            )
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:  # SQLite takes one writer at a time
                answer.raise_for_status()
                return answer.json()
            time.sleep(1)
        raise TimeoutError(path)

    def refresh(self) -> str:
        """Run a refresh to its end; the id of the flow run of its source."""
        deployment = self.ask("deployments/name/refresh/refresh-pokeapi")["id"]
        parameters = {"sources": ["pokeapi"], "rate": "unlimited"}
        run = self.ask(f"deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"]
        until(lambda: self.ask(f"flow_runs/{run}")["state"]["type"] == "COMPLETED", "the end of the refresh")
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
        return str(self.ask("flow_runs/filter", wanted)[0]["id"])


def until(happened: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come to pass in {PATIENCE:.0f} s")
        time.sleep(0.5)


@contextmanager
def serving(folder: Path, api: str) -> Iterator[Ui]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = folder / "setup.yaml"
    file.write_text(SETUP, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {"PREFECT_HOME": str(folder / "home"), "TRAWL_SOURCE_POKEAPI_BASE_URL": api}
    env |= {"PREFECT_WORKER_QUERY_SECONDS": "1", "PYTHONPATH": str(ROOT)}
    command = [str(Path(sys.executable).parent / "trawl"), "serve", "--port", str(port), "--config", str(file)]
    with (folder / "said").open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--lake", str(folder / "lake")], env=env, stdout=out, stderr=out
        )
    try:
        until(lambda: "Ctrl-C stops" in (folder / "said").read_text() or process.poll() is not None, "trawl serve")
        if process.poll() is not None:
            raise RuntimeError((folder / "said").read_text())
        yield Ui(f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Browser:
    """A page of a headless Chromium, by its DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    async def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    async def value(self, script: str) -> Any:
        return (await self.call("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def shows(self, *texts: str) -> None:
        """Wait until the page does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = str(await self.value("document.body ? document.body.innerText : ''"))
            missing = [text for text in texts if text.lower() not in seen.lower()]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page does not show {missing}:\n{seen}")
            await asyncio.sleep(0.5)

    async def click(self, text: str) -> None:
        """What says just this."""
        found = await self.value(
            "(() => { const one = [...document.querySelectorAll('*')].find(one => !one.children.length && "
            f"one.textContent.trim() === {json.dumps(text)}); if (!one) return null;"
            "one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        if found is None:
            raise RuntimeError(f"nothing to click says {text}")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1)

    async def open(self, address: str, *texts: str, height: int = HEIGHT) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False
        )
        await self.call("Page.navigate", url=address)
        await self.shows(*texts)
        await asyncio.sleep(2)  # what fades in

    async def save(self, path: Path) -> None:
        found = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))
        sys.stdout.write(f"{path}: {path.stat().st_size / 1e3:.0f} kB\n")


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise SystemExit("Chromium is needed: for example apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0"]
    process = await asyncio.create_subprocess_exec(
        program, *flags, f"--user-data-dir={folder / 'browser'}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        port = None
        while port is None:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise RuntimeError("Chromium ended")
            port = re.search(r"ws://127\.0\.0\.1:(\d+)/", line)
        async with httpx.AsyncClient() as client:
            pages = (await client.get(f"http://127.0.0.1:{port[1]}/json/list")).json()
        page = next(one for one in pages if one["type"] == "page")
        async with connect(page["webSocketDebuggerUrl"], max_size=2**26) as socket:
            await socket.send(json.dumps({"id": 0, "method": "Page.enable"}))
            yield Browser(socket)
    finally:
        process.terminate()
        await process.wait()


async def pictures(ui: Ui, run: str, browser: Browser, folder: Path) -> None:
    at = ui.address
    name = ui.ask(f"flow_runs/{run}")["name"]
    await browser.open(f"{at}/runs/flow-run/{run}", name, "shard 0", "of pokeapi: done")
    await browser.save(folder / "run.png")

    await browser.open(f"{at}/runs/flow-run/{run}", name, "Job Variables", height=1000)
    await browser.click("Artifacts")
    await browser.shows("changes-pokeapi", "runs-pokeapi")
    await asyncio.sleep(3)
    await browser.save(folder / "artifacts.png")
    changes = ui.ask("artifacts/filter", {"artifacts": {"key": {"any_": ["changes-pokeapi"]}}, "sort": "CREATED_DESC"})
    await browser.open(f"{at}/artifacts/artifact/{changes[0]['id']}", "changed", "record")
    await browser.save(folder / "changes.png")

    deployment = ui.ask("deployments/name/Ultimate PokeAPI Prefect Showcase/showcase".replace(" ", "%20"))["id"]
    await browser.open(
        f"{at}/deployments/deployment/{deployment}/run", "report_length", "count_runs_since", height=1200
    )
    await browser.save(folder / "form.png")

    block = ui.ask("block_types/slug/source-config/block_documents/name/pokeapi-source-config")["id"]
    await browser.open(f"{at}/blocks/block/{block}/edit", "pokeapi-source-config", height=1200)
    await asyncio.sleep(3)
    await browser.save(folder / "block.png")

    automation = next(one for one in ui.ask("automations/filter", {}) if "due" in json.dumps(one["trigger"]))
    await browser.open(f"{at}/automations/automation/{automation['id']}", automation["name"])
    await browser.save(folder / "automation.png")


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trawl-screenshots-") as name:
        temporary = Path(name)
        api = ReplicaApp(GeneratedCatalogue(RECORDS, seed=7, day=0))
        with running(api) as url, serving(temporary, url) as ui:
            await asyncio.to_thread(ui.refresh)
            api.catalogue = GeneratedCatalogue(RECORDS, seed=7, day=1)
            run = await asyncio.to_thread(ui.refresh)
            async with browser(temporary) as page:
                await pictures(ui, run, page, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
