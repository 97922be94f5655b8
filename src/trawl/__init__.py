"""Trawl keeps a faithful, queryable copy of any REST API, with its full history, politely."""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trawl.lake import Lake

__all__ = ["__version__", "open"]

__version__ = version("trawl")


def open(url: str | os.PathLike[str]) -> "Lake":  # noqa: A001
    """The lake in a folder or at `s3://bucket/prefix`.

    >>> trawl.open("lake").records("pokeapi").to_arrow()  # doctest: +SKIP
    """
    from trawl.lake import Lake  # noqa: PLC0415  (importing Arrow takes a moment that not every command needs)

    return Lake(url)
