"""Asking a lake: SQL over its views, the history of a record, exports."""
