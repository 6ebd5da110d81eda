"""
The embedder `wordllama`: the mean of vectors of words, learnt once, that the package carries.

Some hundred times as fast as `minilm`, and coarser: it knows that words are alike, and nothing of
what stands between them.  Only the package's files are used.  Its own loader looks for them in the
wrong folder and then asks the network; its imports are a web client and a validator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dino_os.memory_layer.embedding import files
from dino_os.memory_layer.embedding.model import EmbedderMissing
from dino_os.memory_layer.embedding.rows import Floats, readable, unit

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_INSTALL = "pip install 'dino-os[semantic]'"
_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_BATCH = 64


class WordLlama:
    """
    The embedder.

    Raises:
        EmbedderMissing: Something of it is not installed.
    """

    name = "wordllama"
    dim = 256
    local = True
    floor = 0.229  # 0.120 + 0.109, mean and deviation, pairs of docstrings of the library

    def __init__(self) -> None:
        files.modules(["tokenizers", "safetensors.numpy"], self.name, _INSTALL)
        folder = files.folder_of("wordllama")
        if folder is None:
            why = "the embedder wordllama needs the package wordllama, which is not installed"
            raise EmbedderMissing(why, hint=_INSTALL)
        self._folder = folder

    @cached_property
    def fingerprint(self) -> str:
        return f"wordllama-1-{self._model[2]}"

    def documents(self, texts: Sequence[str]) -> Floats:
        made = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), _BATCH):
            part = texts[start : start + _BATCH]
            made[start : start + len(part)] = unit(self._sums(part))
        return made

    def query(self, text: str) -> Floats:
        found: Floats = self.documents([text])[0]
        return found

    def _sums(self, texts: Sequence[str]) -> Floats:
        vectors, tokenizer, _ = self._model
        # White space of whatever kind and length is one space, as between the words it learnt from.
        spaced = [" ".join(readable(text).split()) for text in texts]
        numbers = [tokenizer.encode(text, add_special_tokens=False).ids for text in spaced]
        lengths = np.array([len(each) for each in numbers])
        made = np.zeros((len(texts), self.dim), np.float32)
        if lengths.any():
            words = vectors[np.concatenate([each for each in numbers if each])]
            full = np.flatnonzero(lengths)
            starts = np.cumsum(lengths[full]) - lengths[full]
            made[full] = np.add.reduceat(words, starts, axis=0)
        return made

    @property
    def _model(self) -> tuple[Floats, Tokenizer, str]:
        loaded: tuple[Floats, Tokenizer, str] = files.once(
            ("wordllama", self._folder), lambda: _load(self._folder)
        )
        return loaded


def _load(folder: Path) -> tuple[Floats, Tokenizer, str]:
    from safetensors.numpy import load  # noqa: PLC0415  an extra
    from tokenizers import Tokenizer  # noqa: PLC0415  an extra

    weights = files.read(folder / _WEIGHTS, hint=_INSTALL)
    words = files.read(folder / _TOKENIZER, hint=_INSTALL)
    tokenizer = Tokenizer.from_str(words.decode())
    tokenizer.no_truncation()
    vectors = load(weights)["embedding.weight"].astype(np.float32)
    return vectors, tokenizer, hashlib.sha256(weights + words).hexdigest()[:16]
