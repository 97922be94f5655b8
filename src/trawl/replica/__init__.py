"""A stand-in for pokeapi.co: an archive, a folder or generated data, with the real service's manners."""

from trawl.replica.answers import ASGIApp
from trawl.replica.app import ReplicaApp
from trawl.replica.archive import ArchiveCatalogue
from trawl.replica.catalogue import Catalogue, Document, Listing, Release
from trawl.replica.faults import Faults, faulty
from trawl.replica.folder import FolderCatalogue
from trawl.replica.generated.catalogue import GeneratedCatalogue
from trawl.replica.generated.history import Changes, changes
from trawl.replica.generated.plan import ENCOUNTERS
from trawl.replica.referee import Referee, RefereedApp
from trawl.replica.serving import running, serve
from trawl.replica.stats import Stats

__all__ = [
    "ENCOUNTERS",
    "ASGIApp",
    "ArchiveCatalogue",
    "Catalogue",
    "Changes",
    "Document",
    "Faults",
    "FolderCatalogue",
    "GeneratedCatalogue",
    "Listing",
    "Referee",
    "RefereedApp",
    "Release",
    "ReplicaApp",
    "Stats",
    "changes",
    "faulty",
    "running",
    "serve",
]
