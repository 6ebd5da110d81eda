"""The latent cache: documents and requests that wait here while the network is away."""

from engines.latent_cache.errors import CacheError, Conflict, Missing, MissingStub
from engines.latent_cache.reading import Change
from engines.latent_cache.store import DocumentStore

__all__ = ["CacheError", "Change", "Conflict", "DocumentStore", "Missing", "MissingStub"]
