"""`trawl check`: whether sources are described well."""

from trawl.model.errors import ConfigurationError
from trawl.model.values import format_duration
from trawl.sources import load_source, source_names

from .common import out


def check(source: str | None = None) -> None:
    """Check a source's description, or all registered ones, without a single request.

    ```
    trawl check ./my-api.yaml
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file; without it, every registered one.
    """
    faults: list[ConfigurationError] = []
    for name in [source] if source is not None else source_names():
        try:
            config = load_source(name)
        except ConfigurationError as fault:  # the others are checked all the same
            faults.append(fault)
            continue
        children = [n for n, endpoint in config.endpoints.items() if endpoint.parent is not None]
        token = config.version_token
        out.print(f"[green]ok[/] [bold]{config.name}[/] at {config.base_url}")
        out.print(
            f"   {len(config.endpoints)} endpoints"
            + (f", {len(children)} of them children ({', '.join(children)})" if children else "")
            + f"; {config.rate.requests_per_second:g} requests/s on {config.rate.connections} connections; "
            + (f"version token {token.path} {token.field}" if token else "no version token")
            + f"; fresh for {format_duration(config.defaults.freshness)}"
        )
    if faults:
        raise faults[0] if len(faults) == 1 else ConfigurationError("\n".join(map(str, faults)))
