"""What Prefect's client leaves open."""

import gc
import warnings


def collect() -> None:
    """Let go of it now: its connections stay open to the end of the process, and would fail a later test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
