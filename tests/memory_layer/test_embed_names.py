"""Which embedder a name means, those of plugins, and what asking for none costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from dino_os.config import Config
from dino_os.config.workspace import Memory
from dino_os.errors import ConfigError, InvalidInput, MemoryLayerError, NotFound
from dino_os.memory_layer.embedding import Embedder, embedder
from dino_os.plugins import Plugins
from tests.conftest import REPOSITORY, Dino, environment

PLUGIN = """
from dino_os.hookspecs import hookimpl

class Tides:
    dim, fingerprint, local, floor = 2, "tides-1", True, 0.1
    def documents(self, texts):
        return [[3.0, 4.0]] * len(texts)
    def query(self, text):
        if text == "storm":
            raise OSError("no gauge")
        return {"nan": [float("nan"), 1.0], "long": [1.0, 2.0, 3.0]}.get(text, [0.0, 2.0])

def broken():
    raise RuntimeError("no licence")

@hookimpl
def dino_embedders():
    return {"tides": Tides, "broken": broken, "words": Tides, "hollow": object}
"""


def by_name(name: str, plugins: Plugins | None = None) -> Embedder | None:
    settings = Memory(embedder=name)
    if plugins is None:
        return embedder(settings, key=str)
    return embedder(settings, key=str, plugins=plugins.embedders)


@pytest.fixture
def plugins(
    tmp_path_factory: pytest.TempPathFactory, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> Plugins:
    site = tmp_path_factory.mktemp("site")
    (site / "tide_models.py").write_text(dedent(PLUGIN))
    info = site / "tide_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tide_models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dino]\ntide_models = tide_models\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "tide_models", raising=False)
    return Plugins(workspace / "skills")


def test_without_a_setting_it_is_words() -> None:
    found = embedder(Memory(), key=str)
    assert found
    assert (found.name, found.dim, found.local) == ("words", 512, True)


def test_none_is_none() -> None:
    assert by_name("none") is None


@pytest.mark.parametrize("name", ["word", "minilm:large", "Words", "ollama", "http://x"])
def test_an_unknown_name_is_told_with_those_there_are(name: str, plugins: Plugins) -> None:
    with pytest.raises(NotFound, match="no embedder") as refused:
        by_name(name, plugins)
    assert "minilm, none, tides, wordllama, words, ollama:MODEL" in str(refused.value.hint)


@pytest.mark.parametrize("name", ["ollama:", "openai: "])
def test_a_server_without_a_model_is_no_embedder(name: str) -> None:
    with pytest.raises(InvalidInput, match="names no model"):
        by_name(name)


def test_an_empty_name_is_refused_where_it_is_set(workspace: Path) -> None:
    (workspace / "config.yaml").write_text("memory:\n  embedder: ''\n")
    with pytest.raises(ConfigError, match=r"\$\.memory\.embedder"):
        Config(workspace / "config.yaml", environ={}).get("memory.embedder")


def test_a_plugins_embedder_is_held_to_the_contract(plugins: Plugins) -> None:
    """Its rows get length 1; what is no vector, and what it raises, is an error that names it."""
    tides = by_name("tides", plugins)
    assert tides
    assert (tides.name, tides.dim, tides.fingerprint) == ("tides", 2, "tides-1")
    assert (tides.local, tides.floor) == (True, 0.1)
    assert tides.documents(["a", "b"]) == pytest.approx(np.array([[0.6, 0.8]] * 2))
    assert tides.documents([]).shape == (0, 2)
    assert tides.query("a") == pytest.approx([0, 1])
    for text in ("nan", "long"):
        with pytest.raises(MemoryLayerError, match="tides answered with no vectors of 2 finite"):
            tides.query(text)
    with pytest.raises(MemoryLayerError, match="tides failed: OSError: no gauge"):
        tides.query("storm")


@pytest.mark.parametrize(
    ("name", "told"),
    [("broken", "broken cannot be made: RuntimeError: no licence"), ("hollow", "hollow is none")],
)
def test_a_plugins_embedder_that_cannot_be_made_is_told(
    name: str, told: str, plugins: Plugins
) -> None:
    with pytest.raises(MemoryLayerError, match=told):
        by_name(name, plugins)


def test_a_plugin_does_not_replace_ours(plugins: Plugins) -> None:
    found = by_name("words", plugins)
    assert found
    assert found.dim == 512


def test_a_plugin_that_fails_when_it_is_asked_is_quarantined(
    tmp_path_factory: pytest.TempPathFactory, workspace: Path, dino: Dino
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "sunk.py").write_text(
        "from dino_os.hookspecs import hookimpl\n"
        "@hookimpl\ndef dino_embedders(surprise):\n    return {}\n"
    )
    info = site / "sunk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sunk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dino]\nsunk = sunk\n")
    env = {"PYTHONPATH": f"{REPOSITORY}:{site}", "DINO_NO_PLUGINS": ""}
    (found,) = dino("list", "--json", env=env).json["quarantined"]
    assert found["name"] == "plugin sunk"


def test_asking_for_a_name_imports_no_numpy_and_no_network() -> None:
    """What embeds is imported when it is made; nothing of it when Dino starts."""
    code = (
        "import sys, dino_os.commands, dino_os.memory_layer, dino_os.memory_layer.embedding\n"
        "print(*({'numpy', 'tokenizers', 'safetensors', 'http.client', 'ssl'} & {*sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"
