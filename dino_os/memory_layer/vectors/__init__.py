"""
Vectors by likeness: an index in files beside the store, from which it can be made again.

Imported where vectors are first searched, and not before: what is behind this door needs numpy.
"""

from dino_os.memory_layer.vectors.index import VectorIndex
from dino_os.memory_layer.vectors.source import Source

__all__ = ["Source", "VectorIndex"]
