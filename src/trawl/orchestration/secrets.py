"""The secrets that sources refer to by the name of a Prefect block."""

from typing import Any

from prefect.blocks.system import Secret
from pydantic import ValidationError

from trawl.model.errors import ConfigurationError
from trawl.sources import SourceCrawler
from trawl.transport.auth import SecretLoader


async def secret_loader(crawler: SourceCrawler) -> SecretLoader:
    """What gives the crawler's secret, read now: the engine asks for it where it cannot wait."""
    credentials = crawler.config_block.credentials
    name = None if credentials is None else credentials.block
    found: str | None = None
    if name:
        try:
            block: Any = await Secret.aload(name)
            found = str(block.get())
        except ValidationError as error:
            raise ConfigurationError(
                f"the block secret/{name} cannot be read: {error.error_count()} of its fields are wrong",
                remedy="save it again in the UI, or by `trawl setup`",
            ) from None
        except ValueError:  # there is no such block: keyless, which the run's note says
            found = None
    return lambda wanted: found if wanted == name else None
