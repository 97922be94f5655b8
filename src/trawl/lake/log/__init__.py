"""The log of one source: its Delta table, its columns, and DuckDB over it."""
