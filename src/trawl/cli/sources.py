"""`trawl sources`: what can be crawled by name."""

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.sources import load_source, source_names

from .common import JsonOption, out, print_json, table
from .text import verbatim


def sources(*, json_output: JsonOption = False) -> None:
    """List the registered sources. Any YAML file can be crawled as well: `trawl run ./file.yaml`.

    ```
    trawl sources
    ```
    """
    configs: list[SourceConfig] = []
    broken: dict[str, ConfigurationError] = {}
    for name in source_names():
        try:
            configs.append(load_source(name))
        except ConfigurationError as error:  # a package that is broken: its source only
            broken[name] = error
    if json_output:
        known = [
            {
                "name": config.name,
                "title": config.title,
                "base_url": config.base_url,
                "requests_per_second": config.rate.requests_per_second,
                "endpoints": list(config.endpoints),
            }
            for config in configs
        ]
        print_json([*known, *({"name": name, "error": str(fault)} for name, fault in broken.items())])
        return
    rows = [[c.name, c.title, c.base_url, len(c.endpoints), f"{c.rate.requests_per_second:g}/s"] for c in configs]
    out.print(table(["name", "title", "base_url", "endpoints", "rate"], rows))
    for fault in broken.values():
        out.print(f"[yellow]broken:[/] {verbatim(str(fault))}")
