"""
The forward pass of a BERT encoder in numpy: token numbers in, one mean vector for each text out.

No training, no dropout, no framework.  Matrix products are the work; all else is kept out of their
way: one product for queries, keys and values, activations in place and in pieces that fit a core's
cache, padding left out of the attention by the product that has to be made anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dino_os.memory_layer.embedding.rows import Floats

Numbers: TypeAlias = npt.NDArray[np.int64]

_PIECE = 16_384  # numbers; 64 KiB, so that the passes of one activation stay in the cache
_EPSILON = 1e-12

# tanh(x·P(x²)) is erf(x/√2).  Fitted to atanh(erf) on 0…6 by least squares, weighted until the
# error of GELU is nearly even: below 7e-8, and beyond 6 both are 1 to the last bit of a float32.
_ERF = (
    0.7978842683908607,
    0.03633414916762592,
    -3.302673831209637e-05,
    -5.52733756826285e-05,
    3.974069250212618e-06,
    -1.3378310585478463e-07,
    1.8139251911017202e-09,
)


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> None:
        """Layer normalisation of each row, in place."""
        x -= x.mean(axis=-1, keepdims=True)
        variance = np.einsum("ij,ij->i", x, x)[:, None] / np.float32(x.shape[-1])
        x /= np.sqrt(variance + np.float32(_EPSILON))
        x *= self.weight
        x += self.bias


@dataclass(frozen=True, slots=True)
class _Dense:
    weight: Floats  # a row for each input, a column for each output
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        made: Floats = x @ self.weight
        made += self.bias
        return made


@dataclass(frozen=True, slots=True)
class _Layer:
    projected: _Dense  # queries, keys and values side by side, queries scaled already
    mixed: _Dense
    mixed_norm: _Norm
    widened: _Dense
    narrowed: _Dense
    norm: _Norm


class Bert:
    """
    An encoder with these *tensors*, as the published models name them.

    Args:
        heads: Of the attention.
    """

    def __init__(self, tensors: Mapping[str, Floats], heads: int) -> None:
        self._heads = heads
        self._words = tensors["embeddings.word_embeddings.weight"]
        kinds = tensors["embeddings.token_type_embeddings.weight"]
        self._places = tensors["embeddings.position_embeddings.weight"] + kinds[0]
        self._norm = _norm(tensors, "embeddings.LayerNorm")
        count = sum(name.endswith("attention.self.query.weight") for name in tensors)
        self._layers = [_layer(tensors, f"encoder.layer.{n}", heads) for n in range(count)]

    def __call__(self, ids: Numbers, lengths: Numbers) -> Floats:
        """
        The mean of each text's token vectors.

        Args:
            ids: A row for each text; what is beyond a text's length does not count.
            lengths: In tokens, at least 1.
        """
        texts, places = ids.shape
        real = (np.arange(places) < lengths[:, None]).astype(np.float32)
        x = (self._words[ids] + self._places[:places]).reshape(texts * places, -1)
        self._norm(x)
        for layer in self._layers:
            heard = self._attend(layer.projected(x), real)
            x += layer.mixed(heard)
            layer.mixed_norm(x)
            wide = layer.widened(x)
            gelu(wide)
            x += layer.narrowed(wide)
            layer.norm(x)
        summed = np.matmul(real[:, None, :], x.reshape(texts, places, -1))[:, 0]
        mean: Floats = summed / lengths[:, None].astype(np.float32)
        return mean

    def _attend(self, projected: Floats, real: Floats) -> Floats:
        """Softmax attention of each head over the real tokens of each text."""
        texts, places = real.shape
        shape = (texts, places, 3, self._heads, -1)
        query, key, value = projected.reshape(shape).transpose(2, 0, 3, 1, 4)
        weights: Floats = query @ key.swapaxes(-1, -2)
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        # The values with a column of ones: one product sums them and what they are divided by.
        # Padding is zero in all columns, and so has no weight.
        size = value.shape[-1]
        summed = np.empty((*value.shape[:-1], size + 1), np.float32)
        np.multiply(value, real[:, None, :, None], out=summed[..., :size])
        summed[..., size] = real[:, None, :]
        summed = weights @ summed
        heard = np.empty((texts, places, self._heads, size), np.float32)
        np.divide(summed[..., :size], summed[..., size:], out=heard.transpose(0, 2, 1, 3))
        return heard.reshape(texts * places, -1)


def gelu(x: Floats) -> None:
    """x·Φ(x), in place: the exact one, not the usual approximation by tanh."""
    flat = x.reshape(-1)
    square, inner = np.empty((2, min(_PIECE, flat.size)), np.float32)
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        s, p = square[: piece.size], inner[: piece.size]
        np.multiply(piece, piece, out=s)
        np.multiply(s, np.float32(_ERF[-1]), out=p)
        for factor in _ERF[-2:0:-1]:
            p += np.float32(factor)
            p *= s
        p += np.float32(_ERF[0])
        p *= piece
        np.tanh(p, out=p)
        p += np.float32(1)
        piece *= np.float32(0.5)
        piece *= p


def _layer(tensors: Mapping[str, Floats], name: str, heads: int) -> _Layer:
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([tensors[f"{part}.weight"] for part in parts]).T
    bias = np.concatenate([tensors[f"{part}.bias"] for part in parts])
    width = weight.shape[0]
    scale = np.ones(3 * width, np.float32)
    scale[:width] = (width // heads) ** -0.5
    return _Layer(
        projected=_Dense(np.ascontiguousarray(weight * scale), bias * scale),
        mixed=_dense(tensors, f"{name}.attention.output.dense"),
        mixed_norm=_norm(tensors, f"{name}.attention.output.LayerNorm"),
        widened=_dense(tensors, f"{name}.intermediate.dense"),
        narrowed=_dense(tensors, f"{name}.output.dense"),
        norm=_norm(tensors, f"{name}.output.LayerNorm"),
    )


def _dense(tensors: Mapping[str, Floats], name: str) -> _Dense:
    return _Dense(np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"])


def _norm(tensors: Mapping[str, Floats], name: str) -> _Norm:
    return _Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])
