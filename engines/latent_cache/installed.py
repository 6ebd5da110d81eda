"""
What a bare `LatentCache()` synchronises with: what is installed says so.

The entry point group `dino.cache_remote` names a function that is given the folder of a workspace's
journals, and returns what `LatentCache` takes as its remote, or None.  Dino's own reads the
workspace's settings; nobody is contacted by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.installed import the_installed
from engines.latent_cache.errors import CacheError

GROUP = "dino.cache_remote"


def installed_remote(memory: Path) -> Any:
    """
    The remote of the workspace whose journals lie in *memory*; None where there is none.

    Raises:
        CacheError: There are several plug-ins, or the one there is cannot be loaded.
    """
    find = the_installed(GROUP, "name the cache's remote", CacheError)
    return find and find(memory)
