"""`VectorMemoryLayer`: the guide's memory with a model by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.errors import DinoError, InvalidInput, NotFound
from dino_os.memory_layer import MemoryLayer, VectorMemoryLayer
from tests.conftest import Dino
from tests.memory_layer.conftest import settle


def test_it_is_searched_by_meaning_in_a_file_of_its_own(home: Path, dino: Dino) -> None:
    memory = VectorMemoryLayer("words")
    memory.add("report", "deployments failed on monday")
    memory.add("lunch", "soup and bread", embed=True)
    memory.add("aside", "deployments of no interest", embed=False)
    found = memory.search("the deployment that fails", top_k=3)
    assert found[0].key == "report"
    assert "aside" not in [one.key for one in found]
    assert memory.get("aside") == "deployments of no interest"
    assert VectorMemoryLayer(embedding_model="words").list() == memory.list()
    assert MemoryLayer().list() == []
    settle()
    assert "memory-words-db_log: " in dino("hashchain").out


def test_a_model_that_is_not_there_is_told_before_anything_is_kept(home: Path) -> None:
    with pytest.raises(NotFound, match="no embedder 'nomic-embed-text'"):
        VectorMemoryLayer("nomic-embed-text").add("a", "b")
    (home / "config.yaml").write_text("memory: {embed_url: 'http://127.0.0.1:9'}\n")
    served = VectorMemoryLayer("ollama:x", home / "other.db")
    served.add("a", "b")  # nobody waits for a server
    with pytest.raises(DinoError, match="cannot be reached"):
        served.search("a")
    assert served.get("a") == "b"
    assert not [*home.glob("memory/memory-nomic*.db")]
    for name in ("", " ", 3):
        with pytest.raises(InvalidInput, match="a model has a name"):
            VectorMemoryLayer(name)  # type: ignore[arg-type]


def test_a_sandboxed_skill_has_it_in_a_file_that_it_may_write(workspace: Path, dino: Dino) -> None:
    (workspace / "vec").mkdir()
    (workspace / "skills" / "finder.py").write_text(
        "from dino_os import skill\n"
        "from dino_os.memory_layer import VectorMemoryLayer\n"
        "@skill(writes=['vec/'])\n"
        "def finder(db: str = '') -> list:\n"
        "    memory = VectorMemoryLayer('words', db_path=db or None)\n"
        "    memory.add('report', 'deployments failed')\n"
        "    return [one.key for one in memory.search('deployment')]\n"
    )
    dino("grant", "finder")
    assert dino("run", "finder", "--db", "vec/m.db", "--json").json["result"] == ["report"]
    assert "needs a file of its own" in dino("run", "finder", code=3).err
