"""A stand-in for pokeapi.co: an archive, a folder or generated data, with the real service's manners."""

from trawl.replica.app import ReplicaApp
from trawl.replica.archive import ArchiveCatalogue
from trawl.replica.catalogue import Catalogue, Document, Listing, Release
from trawl.replica.folder import FolderCatalogue
from trawl.replica.generated.catalogue import GeneratedCatalogue
from trawl.replica.generated.history import Changes, changes
from trawl.replica.generated.plan import ENCOUNTERS
from trawl.replica.serving import running, serve
from trawl.replica.stats import Stats

__all__ = [
    "ENCOUNTERS",
    "ArchiveCatalogue",
    "Catalogue",
    "Changes",
    "Document",
    "FolderCatalogue",
    "GeneratedCatalogue",
    "Listing",
    "Release",
    "ReplicaApp",
    "Stats",
    "changes",
    "running",
    "serve",
]
