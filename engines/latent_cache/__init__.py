"""The latent cache: documents and requests that wait here while the network is away."""

from engines.latent_cache.answering import Change
from engines.latent_cache.cache import LatentCache, Operation
from engines.latent_cache.errors import CacheError, Conflict, Missing, MissingStub
from engines.latent_cache.queue import OfflineQueue
from engines.latent_cache.queued import BODY_LIMIT, Queued
from engines.latent_cache.store import DocumentStore

__all__ = [
    "BODY_LIMIT",
    "CacheError",
    "Change",
    "Conflict",
    "DocumentStore",
    "LatentCache",
    "Missing",
    "MissingStub",
    "OfflineQueue",
    "Operation",
    "Queued",
]
