"""Trawl on Prefect. The only package that imports it."""
