"""What is in a file, without opening it in an editor."""

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from dino_os import skill

_WORD = re.compile(r"[^\W\d_]{4,}")


@skill(reads=["."], timeout="30s", memory="1GB", idempotent=True)
def summarise_file(path: Path, top: int = 5) -> dict[str, Any]:
    """
    Summarise a file: size, hash, and what its kind has to say.

    A CSV file is told by its columns, each with its most frequent values; JSON by its shape; text
    by its lines and its most frequent words, Markdown by its headings too.

    Args:
        path: The file, relative to the workspace.
        top: How many frequent values or words to name.
    """
    path = Path(path)
    data = path.read_bytes()
    facts = {"file": str(path), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {**facts, "kind": "binary", "begins_with_hex": data[:16].hex(" ")}
    if path.suffix == ".csv":
        return {**facts, "kind": "csv", **_of_table(text, top)}
    if path.suffix == ".json":
        return {**facts, "kind": "json", **_of_json(json.loads(text))}
    if path.suffix == ".md":
        headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
        return {**facts, "kind": "markdown", "headings": headings, **_of_text(text, top)}
    return {**facts, "kind": "text", **_of_text(text, top)}


def _of_table(text: str, top: int) -> dict[str, Any]:
    rows = list(csv.DictReader(text.splitlines()))
    columns = {}
    for name in rows[0] if rows else ():
        values = Counter(row[name] for row in rows)
        empty = sum(values[word] for word in ("", "null"))
        columns[name] = {
            "distinct": len(values),
            "empty": empty,
            "frequent": dict(values.most_common(top)),
        }
    return {"records": len(rows), "columns": columns}


def _of_json(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"shape": "object", "keys": sorted(value)}
    if isinstance(value, list):
        return {"shape": "array", "items": len(value)}
    return {"shape": type(value).__name__}


def _of_text(text: str, top: int) -> dict[str, Any]:
    lines = text.splitlines()
    words = Counter(word.lower() for word in _WORD.findall(text))
    return {
        "lines": len(lines),
        "words": sum(words.values()),
        "frequent_words": dict(words.most_common(top)),
    }
