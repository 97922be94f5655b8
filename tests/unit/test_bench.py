"""That the benches run (tiny sizes, all in this process), and the laws of what they are made of."""

import contextlib
import io
import json
import sys
import tarfile
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import commit, crawl, flow, measure, memory, nginx, peers, plan, report
from bench.options import Options
from bench.steps import snapshot, stand_in
from bench.steps.__main__ import call

from trawl.cli.app import invoke
from trawl.replica import FolderCatalogue, ReplicaApp, running


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Wishes for the least of everything, with every program called in this process."""

    def run(command):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert invoke(list(command[1:])) == 0
        return measure.Run(1.0, 1.0, 1.0, out.getvalue())

    def step(target, **arguments):
        return measure.Run(1.0, 1.0, 1.0, json.dumps(call(target, arguments)))

    @contextlib.contextmanager
    def served(**arguments):
        with running(stand_in.app(**arguments)) as url:
            yield url.removesuffix("/api/v2")

    monkeypatch.setattr(measure, "run", run)
    for module in (commit, crawl, plan):
        monkeypatch.setattr(module, "step", step)
    for module in (commit, memory):
        monkeypatch.setattr(module, "stand_in", served)
    monkeypatch.setattr(nginx, "find", lambda: None)
    monkeypatch.setattr(crawl, "replica", lambda _, folder: running(ReplicaApp(FolderCatalogue(Path(folder)))))
    return Options(
        rounds=1,
        documents=None,
        scale=0,
        large=False,
        archives=_archive(tmp_path),
        base_url=None,
        peers=False,
        folder=tmp_path,
        command="python -m bench",
    )


@pytest.mark.parametrize("bench", [commit.bench, memory.bench, plan.bench])
def test_each_bench_runs(bench, options):
    assert bench(options).figures


def test_the_crawl_of_a_snapshot_runs_and_lands_on_the_page(options, tmp_path):
    section = crawl.bench(options)
    page = tmp_path / "README.md"
    for _ in range(2):
        report.save(section, ["crawl"], page)
    assert page.read_text().count("| commit |") == 1


def test_without_snapshots_there_is_nothing_to_crawl(options):
    from dataclasses import replace

    assert crawl.bench(replace(options, archives=None)) is None


DOCUMENTS = [
    *(f"stat/{number}/index.json" for number in range(40)),
    *(f"pokemon/{number}{below}/index.json" for number in range(20) for below in ("", "/encounters")),
]


@pytest.mark.parametrize("documents", range(0, 71, 7))
def test_a_choice_has_just_so_many_documents_and_is_always_the_same(documents):
    kept = snapshot.choose(DOCUMENTS, documents)
    assert len(kept) == documents
    assert kept == snapshot.choose(reversed(DOCUMENTS), documents)


def test_a_choice_keeps_a_record_and_what_lies_below_it_together_and_mixes_the_endpoints():
    kept = snapshot.choose(DOCUMENTS, 31)
    chosen = {path.split("/")[1] for path in kept if path.startswith("pokemon/")}
    assert chosen
    assert {path for path in kept if path.startswith("pokemon/")} == {
        path for path in DOCUMENTS if path.startswith("pokemon/") and path.split("/")[1] in chosen
    }
    assert any(path.startswith("stat/") for path in kept)


def test_more_documents_than_there_are_is_all_of_them():
    assert snapshot.choose(DOCUMENTS, 10_000) == set(DOCUMENTS)


def test_an_unpacked_snapshot_says_what_the_service_says(tmp_path):
    found = snapshot.unpack(str(_archive(tmp_path) / crawl.ARCHIVE), str(tmp_path), 1)
    assert found == {"paths": ["stat/1/"], "endpoints": ["stat"], "entries": 0}
    listing = json.loads((tmp_path / "api/v2/stat/index.json").read_bytes())
    assert listing == {"count": 1, "results": [{"name": "hp", "url": "https://pokeapi.co/api/v2/stat/1/"}]}


def test_a_list_names_only_what_was_chosen(tmp_path):
    assert snapshot.unpack(str(_archive(tmp_path) / crawl.ARCHIVE), str(tmp_path), 0)["paths"] == []
    assert json.loads((tmp_path / "api/v2/stat/index.json").read_bytes()) == {"count": 0, "results": []}


def test_nginx_is_told_to_stay_on_loopback_and_to_be_nobodys_service():
    told = nginx.configuration(Path("/some where"), 4711, {"hash": "abc", "deploy_date": "17"})
    assert [line.strip() for line in told.splitlines() if "listen" in line] == ["listen 127.0.0.1:4711;"]
    assert 'root "/some where";' in told
    for line in ("daemon off;", "master_process off;", "worker_processes 1;", "access_log off;", "etag on;"):
        assert line in told
    assert 'X-PokeAPI-Hash "abc"' in told
    assert 'X-PokeAPI-Deploy-Date "17"' in told
    assert told.count("{") == told.count("}")


@pytest.mark.skipif(nginx.find() is None, reason="needs nginx")
def test_nginx_answers_as_the_service_does(tmp_path):
    snapshot.unpack(str(_archive(tmp_path) / crawl.ARCHIVE), str(tmp_path), 1)
    with nginx.serving(nginx.find(), tmp_path) as url:
        for path in ("stat/1/", "stat/1", "stat/1/?limit=5"):
            status, headers, body = _get(f"{url}/{path}")
            assert (status, json.loads(body)) == (200, {"id": 1, "name": "hp"})
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert headers["Cache-Control"] == "public, max-age=86400, s-maxage=86400"
        assert (headers["X-PokeAPI-Hash"], headers["X-PokeAPI-Deploy-Date"]) == ("h", "1")
        assert "Last-Modified" not in headers
        status, again, body = _get(f"{url}/stat/1/", {"If-None-Match": headers["ETag"]})
        assert (status, again["X-PokeAPI-Hash"], body) == (304, "h", b"")
        assert _get(f"{url}/stat/1/", {"If-None-Match": '"another"'})[0] == 200
        assert json.loads(_get(f"{url}/stat/?limit=100000&offset=0")[2])["count"] == 1
        assert _get(f"{url}/stat/2/")[0] == 404
    with pytest.raises(ConnectionError):
        _get(f"{url}/stat/1/")


def test_ratios_are_those_of_each_round():
    def run(seconds):
        return measure.Run(seconds, 0, 0, "")

    rows = [{"httpx": run(6.0), "trawl": run(2.0)}, {"httpx": run(10.0), "trawl": run(5.0)}]
    assert crawl.ratios(rows, "httpx") == [3.0, 2.0]


def test_a_grid_shows_the_median_and_the_spread_of_each_cell():
    grid = report.Grid("crawl", ["records/s", "MB"])
    grid.add("Trawl", "trawl run", [[100.0, 300.0, 200.0], [50.0]])
    assert grid.markdown().splitlines() == [
        "| crawl | records/s | MB | what was run |",
        "|---|---:|---:|---|",
        "| Trawl | 200 (100 to 300) | 50.0 | `trawl run` |",
    ]


@pytest.mark.parametrize("name", peers.TITLES)
def test_a_peer_that_lacks_a_document_or_a_row_fails_the_bench(name):
    def run(documents, stored):
        result = {"documents": documents, "stored": stored}
        return measure.Run(1, 1, 1, json.dumps(result))

    content = {"paths": ["stat/1/", "pokemon/1/", "pokemon/1/encounters/"], "entries": 5}
    rows = {"dlt": 7, "scrapy": 3}[name]
    crawl._check_peer(name, run(3, rows), content)
    for lacking in (run(2, rows), run(3, rows - 1)):
        with pytest.raises(RuntimeError, match="has not all of 3 documents"):
            crawl._check_peer(name, lacking, content)


def test_the_lines_of_a_feed_are_what_is_stored(tmp_path):
    (tmp_path / "feed").write_text("{}\n{}\n")
    assert peers.stored({"feed": str(tmp_path / "feed")}) == 2


def test_the_peers_virtualenv_is_made_anew_when_the_lock_moves(tmp_path):
    lock, place = tmp_path / "lock.txt", tmp_path / "venv"
    place.mkdir()
    lock.write_text("dlt==1")
    assert not peers.ready(place, lock)
    (place / ".ready").write_text("dlt==1")
    assert peers.ready(place, lock)
    lock.write_text("dlt==2")
    assert not peers.ready(place, lock)


def test_the_peers_are_pinned_by_hash_and_name_no_host():
    lock = peers.LOCK.read_text()
    pins = lock.replace("\\\n", " ").splitlines()
    assert {"dlt", "scrapy"} <= {pin.partition("==")[0] for pin in pins}
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in lock
    assert "--index-url" not in lock


def _get(url, headers=None):
    """One GET, whatever the status says."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", url.partition(parts.netloc)[2], headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def _archive(folder: Path) -> Path:
    """A snapshot of one record."""
    documents = {
        "": {"stat": "/api/v2/stat/"},
        "meta/": {"hash": "h", "deploy_date": "1"},
        "stat/": {"count": 1, "results": [{"name": "hp", "url": "/api/v2/stat/1/"}]},
        "stat/1/": {"id": 1, "name": "hp"},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, document in documents.items():
            member = tarfile.TarInfo(f"data/api/v2/{path}index.json")
            content = json.dumps(document).encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (folder / crawl.ARCHIVE).write_bytes(zstandard.compress(packed.getvalue()))
    return folder


def test_what_two_sizes_cost_is_told_apart_by_record_and_by_run():
    each, start = flow.cost(2.0 + 0.5 * 3, 2.0 + 0.5 * 12, 3_000, 12_000)
    assert (each, start) == pytest.approx((0.5, 2.0))
