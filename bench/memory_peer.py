"""
Chroma, as `bench/memory.py` asks it: the same vectors, queries and batches; answers in JSON.

    python bench/memory_peer.py FOLDER

A process of its own, so that neither side has the other's threads; it may have an interpreter of
its own, too (`CHROMA_PYTHON`), as Chroma brings some fifty packages along.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

BATCH = 5_000


def main() -> None:
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    import chromadb  # type: ignore[import-not-found]  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    folder = Path(sys.argv[1])
    vectors, queries = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    client = chromadb.PersistentClient(str(folder / "chroma"))
    collection = client.create_collection("memory", metadata={"hnsw:space": "cosine"})
    began = time.perf_counter()
    for at in range(0, len(vectors), BATCH):
        ids = [f"key-{n}" for n in range(at, min(at + BATCH, len(vectors)))]
        collection.add(
            ids, embeddings=vectors[at : at + BATCH], documents=[f"note {i}" for i in ids]
        )
    inserted = time.perf_counter() - began
    seconds, found = [], []
    for query in queries:
        began = time.perf_counter()
        answer = collection.query(query_embeddings=[query], n_results=10, include=["documents"])
        seconds.append(time.perf_counter() - began)
        found.append([int(one.removeprefix("key-")) for one in answer["ids"][0]])
    told = {
        "version": chromadb.__version__,
        "insert_s": inserted,
        "search_s": seconds,
        "found": found,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
