"""That the benches run: tiny sizes, all in this process; what they find is not looked at."""

import contextlib
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import commit, crawl, measure, memory, plan, report
from bench.options import Options
from bench.steps import stand_in
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
    monkeypatch.setattr(crawl, "replica", lambda _, folder: running(ReplicaApp(FolderCatalogue(Path(folder)))))
    return Options(
        rounds=1,
        documents=None,
        scale=0,
        large=False,
        archives=_archive(tmp_path),
        base_url=None,
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
