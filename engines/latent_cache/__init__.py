"""The latent cache: documents and requests that wait here while the network is away."""

from engines.latent_cache.answering import Change
from engines.latent_cache.cache import LatentCache
from engines.latent_cache.errors import CacheError, Conflict, Missing, MissingStub, TooLarge
from engines.latent_cache.operations import Operation
from engines.latent_cache.queue import OfflineQueue
from engines.latent_cache.queued import BODY_LIMIT, Queued
from engines.latent_cache.store import DocumentStore
from engines.latent_cache.wire import ATTACHMENT_LIMIT

__all__ = [
    "ATTACHMENT_LIMIT",
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
    "TooLarge",
]
