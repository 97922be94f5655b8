"""`trawl setup`: what an installation needs of a Prefect server, from one file."""

from .converging import apply, preview
from .settings import Settings, load_settings

__all__ = ["Settings", "apply", "load_settings", "preview"]
