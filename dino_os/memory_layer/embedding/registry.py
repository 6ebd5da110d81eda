"""
Which embedders there are: the built-in ones, those over HTTP, and those of plugins.

Each is made when it is asked for, and so is what it imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dino_os.errors import DinoError, InvalidInput, MemoryLayerError, NotFound
from dino_os.memory_layer.embedding.model import Embedder, Maker
from engines.checks import did_you_mean

if TYPE_CHECKING:
    from dino_os.config.workspace import Memory

NONE = "none"
_SERVED = ("ollama", "openai")


def embedder(
    settings: Memory,
    *,
    key: Callable[[str], str],
    plugins: Callable[[], Mapping[str, Maker]] = dict,
    private_hosts: Sequence[str] = (),
) -> Embedder | None:
    """
    The embedder that *settings* name; None for `none`.

    Args:
        key: The value of a key in the vault, by its name.
        plugins: Name → maker of those that plugins bring; asked only where no other has the name.
        private_hosts: Names of one's own network that `memory.embed_url` may have.

    Raises:
        NotFound: There is none of that name.
        EmbedderMissing: It is not installed; the hint says how to.
        DinoError: Its settings or its key are missing or wrong.
    """
    name = settings.embedder
    if name == NONE:
        return None
    kind, colon, model = name.partition(":")
    if colon and kind in _SERVED:
        return _served(kind, model, settings, key, private_hosts)
    makers = _BUILT_IN if name in _BUILT_IN else plugins()
    if name not in makers:
        known = sorted({*_BUILT_IN, *makers, NONE})
        raise NotFound(
            f"no embedder {name!r}{did_you_mean(name, known)}",
            hint=f"there are {', '.join(known)}, ollama:MODEL and openai:MODEL",
        )
    return makers[name]() if name in _BUILT_IN else _brought(name, makers[name])


def _words() -> Embedder:
    from dino_os.memory_layer.embedding.words import Words  # noqa: PLC0415  numpy

    return Words()


def _wordllama() -> Embedder:
    from dino_os.memory_layer.embedding.wordllama import WordLlama  # noqa: PLC0415  as above

    return WordLlama()


def _minilm() -> Embedder:
    from dino_os.memory_layer.embedding.minilm import MiniLm  # noqa: PLC0415  as above

    return MiniLm()


_BUILT_IN: Mapping[str, Maker] = {"words": _words, "wordllama": _wordllama, "minilm": _minilm}


def _served(
    kind: str,
    model: str,
    settings: Memory,
    key: Callable[[str], str],
    private_hosts: Sequence[str],
) -> Embedder:
    from dino_os.memory_layer.embedding import over_http  # noqa: PLC0415  as above
    from dino_os.nav.dialling import Dialler  # noqa: PLC0415  the network
    from dino_os.secret import Secret  # noqa: PLC0415
    from dino_os.web_calls import fits_header  # noqa: PLC0415

    if not model.strip():
        raise InvalidInput(f"memory.embedder: {kind}: names no model", hint=f"{kind}:MODEL")
    url = settings.embed_url or (over_http.OLLAMA_URL if kind == "ollama" else "")
    if not url:
        raise InvalidInput(
            f"the embedder {kind}:{model} has no address",
            hint="dino config set memory.embed_url https://api.example",
        )
    value = key(settings.embed_key) if settings.embed_key else ""
    if not fits_header(value):
        raise InvalidInput(f"the key {settings.embed_key!r} holds what no header can carry")
    make = over_http.Ollama if kind == "ollama" else over_http.OpenAi
    # Whoever writes localhost means this machine; another name must not come to mean it.
    dial = Dialler(["localhost", *private_hosts])
    return make(model, url, Secret(value) if value else None, dial=dial)


def _brought(name: str, make: Maker) -> Embedder:
    from dino_os.memory_layer.embedding.brought import Brought  # noqa: PLC0415  numpy

    try:
        return Brought(name, make())
    except DinoError:
        raise
    except Exception as error:  # whatever a plugin raises is its own
        why = f"the embedder {name} cannot be made: {type(error).__name__}: {error}"
        raise MemoryLayerError(why) from error
