"""What one run did, asked for alone: the same rows as the view has of it."""

from tests.crawling import ask, run
from trawl.lake import Lake
from trawl.lake.reading.history import changes, count_changes
from trawl.replica import GeneratedCatalogue, ReplicaApp, running


def test_the_changes_of_a_run_are_the_views_rows_of_it(tmp_path):
    lake = Lake(tmp_path / "lake")
    ids = []
    for day in (0, 2):
        with running(ReplicaApp(GeneratedCatalogue(150, seed=3, day=day))) as url:
            ids.append(run(lake, url, force=True).run_id)
    order = "ORDER BY endpoint, key, change"
    for each in ids:
        found = list(changes(lake, "pokeapi", run=each).rows())
        whole = ask(lake, f"FROM pokeapi.changes WHERE run = '{each}' {order}")
        assert sorted(found, key=str) == sorted(whole, key=str)
        assert sum(sum(counts.values()) for counts in count_changes(lake, "pokeapi", run=each).values()) == len(whole)
    assert {row["change"] for row in whole} > {"changed", "created"}
