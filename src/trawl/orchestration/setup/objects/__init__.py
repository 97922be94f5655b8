"""What set-up makes on a server: for each kind of object how it is read, made, changed and removed."""

from .automations import Automations
from .block_documents import BlockDocuments
from .block_types import BlockTypes
from .buckets import Buckets
from .deployed import Deployments
from .kind import Conflict, Kind, Server
from .minio_users import MinioUsers
from .pools import Pools, Queues
from .small import Limits, Variables

__all__ = ["KINDS", "Conflict", "Kind", "Server"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Buckets(),
        MinioUsers(),
        BlockTypes(),
        BlockDocuments(),
        Limits(),
        Variables(),
        Pools(),
        Queues(),
        Deployments(),
        Automations(),
    )
}
