"""The sources that Trawl knows, and how to describe others."""

from .registry import load_source, parse_source, source_names

__all__ = ["load_source", "parse_source", "source_names"]
