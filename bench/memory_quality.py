"""
How well search finds: text, vectors and both, over questions about the standard library.

    python bench/memory_quality.py [--tune] [EMBEDDER …]      default: each that is installed

The part of the text in a hybrid score is chosen on the even questions (--tune shows how), and the
odd ones are reported.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer import fusion
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import Meaning, search
from tests.memory_layer.quality.corpus import memories, questions
from tests.memory_layer.quality.measuring import Exact, ndcg, put, recall, tables

KINDS = {
    "words": ("words", "Words"),
    "wordllama": ("wordllama", "WordLlama"),
    "minilm": ("minilm", "MiniLm"),
}
Asked = Sequence[tuple[str, str, dict[str, int]]]


def main() -> None:
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or KINDS
    db = tables()
    ids = {put(db, key, text): f"{key}\n{text}" for key, text in memories().items()}
    asked = [(kind, query, there(answers)) for kind, query, answers in questions()]
    print(f"{len(ids):,} memories, {len(asked)} questions; the odd {len(asked[1::2])} reported")
    report("text", db, asked[1::2], "text", None)
    for name in names:
        embedder = made(name)
        if embedder is None:
            print(f"{name}: not installed")
            continue
        began = time.perf_counter()
        vectors = dict(zip(ids, embedder.documents([*ids.values()]), strict=True))
        print(f"{name}: {len(ids) / (time.perf_counter() - began):,.0f} memories embedded a second")
        meaning = Meaning(embedder, Exact(vectors), None)
        if "--tune" in sys.argv:
            tune(db, asked[::2], meaning)
        report(f"{name} only", db, asked[1::2], "meaning", meaning)
        report(f"text and {name}", db, asked[1::2], "hybrid", meaning)


def there(answers: dict[str, int]) -> dict[str, int]:
    """Those answers that this Python has."""
    known = memories()
    return {name: grade for name, grade in answers.items() if name in known}


def made(name: str) -> Any:
    module, kind = KINDS[name]
    try:
        return getattr(import_module(f"dino_os.memory_layer.embedding.{module}"), kind)()
    except (ImportError, MemoryLayerError):
        return None


def report(
    what: str, db: sqlite3.Connection, asked: Asked, mode: str, meaning: Meaning | None
) -> None:
    began = time.perf_counter()
    scores = {kind: [] for kind, _, _ in asked}
    recalls = []
    for kind, query, answers in asked:
        found = keys(db, query, mode, meaning)
        scores[kind].append(ndcg(found, answers))
        recalls.append(recall(found, answers))
    each = (time.perf_counter() - began) / len(asked)
    kinds = "  ".join(f"{kind} {fmean(of):.3f}" for kind, of in scores.items())
    all_ = fmean(score for of in scores.values() for score in of)
    print(
        f"{what:20} nDCG@10 {all_:.4f}  recall@5 {fmean(recalls):.4f}  "
        f"{1000 * each:.1f} ms   {kinds}"
    )


def keys(db: sqlite3.Connection, query: str, mode: str, meaning: Meaning | None) -> list[str]:
    found = search(db, Question(query, 10, mode=mode), 0.0, lambda: meaning)
    return [result["key"] for result in found]


def tune(db: sqlite3.Connection, asked: Asked, meaning: Meaning) -> None:
    """nDCG@10 of each part of the text, on the questions that are not reported."""
    for tenth in range(1, 10):
        with patch.dict(fusion.ALPHAS, {meaning.embedder.name: tenth / 10}):
            good = fmean(ndcg(keys(db, query, "hybrid", meaning), of) for _, query, of in asked)
        print(f"    alpha {tenth / 10:.1f}  nDCG@10 {good:.4f}")


if __name__ == "__main__":
    main()
