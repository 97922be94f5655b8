"""The columns of the log: one row is something learnt about a record in a run."""

import pyarrow as pa

FORMAT_VERSION = 1
FORMAT_PROPERTY = "trawl.format_version"

PARTITIONS = ("kind", "endpoint")
NO_ENDPOINT = "-"  # where rows lie that are not about a record: listings and runs

_instant = pa.timestamp("us", tz="UTC")

# Where a record stands after the row. Every row says all of it.
STANDING = pa.schema(
    [
        ("state", pa.string()),
        ("source_version", pa.string()),
        ("source_order", pa.int64()),
        ("missing_since", _instant),
        ("refused_at", _instant),
        ("failures", pa.int32()),
        ("retry_at", _instant),
        ("reason", pa.string()),
    ]
)

# What is known of its content. A thin row leaves all of it null: "as before".
CONTENT = pa.schema(
    [
        ("label", pa.string()),
        ("locator", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("byte_hash", pa.binary()),
        ("canonical_hash", pa.binary()),
        ("semantic_hash", pa.binary()),
        ("bytes", pa.int64()),
        ("version", pa.int32()),
        ("first_seen", _instant),
        ("changed_at", _instant),
        ("payload_run", pa.string()),
    ]
)

# What a Parquet file of the log holds; kind and endpoint stand in its path.
FILE = pa.schema(
    [
        ("op", pa.string()),
        ("key", pa.string()),
        ("valid_from", _instant),
        ("observed_at", _instant),
        ("run", pa.string()),
        ("checked_at", _instant),
        *STANDING,
        *CONTENT,
        ("payload", pa.string()),
    ]
)

LOG = pa.schema([("kind", pa.string()), ("endpoint", pa.string()), *FILE])
