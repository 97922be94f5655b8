"""The crawl by dlt's rest_api source: each list, then each record that it names, into Parquet files.

Written as dlt's documentation does it: `processing_steps` take the key out of a list's entry, a record's path
holds its parent's field, records are parallelized, documents stay whole (`max_table_nesting=0`).
"""

import json
import os
import sys
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.helpers.requests import Response
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source


def crawl(*, base_url: str, endpoints: list[str], connections: int, folder: str) -> dict[str, Any]:
    """Crawl into `folder`; how many documents came, and how many rows the tables hold."""
    dlt.config["extract.workers"] = dlt.config["extract.max_parallel_items"] = connections
    documents: list[int] = []  # an append is atomic: the requests run in threads

    def count(response: Response, *_: Any, **__: Any) -> None:
        documents.append(response.status_code)

    pipeline = dlt.pipeline(
        "pokeapi",
        pipelines_dir=f"{folder}/pipelines",
        destination=dlt.destinations.filesystem(f"{folder}/lake"),
        dataset_name="pokeapi",
    )
    source = rest_api_source(_config(base_url, endpoints, count), max_table_nesting=0, parallelized=True)
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()
    rows = pipeline.last_trace.last_normalize_info.row_counts
    return {
        "version": dlt.__version__,
        "documents": len(documents),
        "stored": sum(number for table, number in rows.items() if not table.startswith("_dlt")),
    }


def _config(base_url: str, endpoints: list[str], count: Any) -> RESTAPIConfig:
    resources: list[Any] = []
    for name in endpoints:
        resources += [
            {
                "name": f"{name}_list",
                "selected": False,
                "endpoint": {"path": f"{name}/", "params": {"limit": 100_000}, "data_selector": "results"},
                "processing_steps": [{"map": _with_key}],
            },
            {
                "name": name,
                "endpoint": {"path": f"{name}/{{resources.{name}_list.key}}/", "response_actions": [count]},
                "parallelized": True,
            },
        ]
    if "pokemon" in endpoints:
        resources.append(
            {
                "name": "pokemon-encounters",
                "endpoint": {"path": "pokemon/{resources.pokemon.id}/encounters", "response_actions": [count]},
                "include_from_parent": ["id"],
                "parallelized": True,
            }
        )
    return {
        "client": {"base_url": base_url, "paginator": "single_page"},
        "resource_defaults": {"write_disposition": "append"},
        "resources": resources,
    }


def _with_key(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"key": entry["url"].rstrip("/").rpartition("/")[2]}


if __name__ == "__main__":
    print(json.dumps(crawl(**json.loads(sys.argv[1]))))
