"""`trawl sources`: what can be crawled by name."""

from rich.markup import escape

from trawl.model.errors import ConfigurationError
from trawl.sources import load_source, source_names

from .common import JsonOption, out, print_json, table


def sources(*, json_output: JsonOption = False) -> None:
    """List the registered sources. Any YAML file can be crawled as well: `trawl run ./file.yaml`.

    ```
    trawl sources
    ```
    """
    configs, faults = [], []
    for name in source_names():
        try:
            configs.append(load_source(name))
        except ConfigurationError as fault:  # a package that is broken: its source only
            faults.append(fault)
    if json_output:
        print_json(
            [
                {
                    "name": config.name,
                    "title": config.title,
                    "base_url": config.base_url,
                    "requests_per_second": config.rate.requests_per_second,
                    "endpoints": list(config.endpoints),
                }
                for config in configs
            ]
        )
        return
    rows = [[c.name, c.title, c.base_url, len(c.endpoints), f"{c.rate.requests_per_second:g}/s"] for c in configs]
    out.print(table(["name", "title", "base_url", "endpoints", "rate"], rows))
    for broken in faults:
        out.print(f"[yellow]broken:[/] {escape(str(broken))}")
