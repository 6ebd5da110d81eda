"""
From texts to vectors: the embedders, by the names that `memory.embedder` has.

    words          no model at all: spelling, not meaning         everywhere
    wordllama      vectors of words, learnt                       extra `semantic`
    minilm         a small model of the meaning of sentences      extra `minilm`, and its weights
    ollama:MODEL   a server of that kind                          over HTTP
    openai:MODEL   any endpoint of that shape                     over HTTP
    none           no vectors

Plugins bring others by the hook `dino_embedders`.  Importing this imports no numpy.
"""

from dino_os.memory_layer.embedding.model import (
    Embedder,
    EmbedderMissing,
    EmbedderUnavailable,
    Maker,
)
from dino_os.memory_layer.embedding.registry import embedder

__all__ = ["Embedder", "EmbedderMissing", "EmbedderUnavailable", "Maker", "embedder"]
