"""Embedders over HTTP: what is asked, what of the answers is believed, and where nothing goes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dino_os.config.workspace import Memory
from dino_os.errors import Denied, DinoError, InvalidInput
from dino_os.memory_layer.embedding import (
    Embedder,
    EmbedderMissing,
    EmbedderUnavailable,
    embedder,
    over_http,
)
from dino_os.memory_layer.store import MemoryStore
from dino_os.web_calls import Unreachable
from engines.journal import Journal
from tests.memory_layer.embedding_server import EmbeddingServer

KEY = "sk-embed-0123456789abcdef"
KINDS = ("ollama", "openai")
PATHS = {"ollama": "/api/embed", "openai": "/v1/embeddings"}


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as running:
        yield running


def made(kind: str, url: str, *, model: str = "small", key: str = "") -> Embedder:
    settings = Memory(embedder=f"{kind}:{model}", embed_url=url, embed_key=key)
    found = embedder(settings, key=lambda name: {"embed": KEY}[name])
    assert found
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_texts_come_back_as_rows_in_their_order(kind: str, server: EmbeddingServer) -> None:
    model = made(kind, server.url)
    texts = [f"text {n}" for n in range(150)]
    rows = model.documents(texts)
    expected = np.array(server.vectors(texts))
    assert rows == pytest.approx(expected / np.linalg.norm(expected, axis=1)[:, None], abs=1e-6)
    assert model.query("text 7") == pytest.approx(rows[7])
    assert [(method, path) for method, path, *_ in server.requests] == [("POST", PATHS[kind])] * 4
    assert {len(body["input"]) for *_, body in server.requests} == {64, 22, 1}
    assert (model.name, model.local, model.dim) == (f"{kind}:small", False, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_dim_and_floor_are_measured_once(kind: str, server: EmbeddingServer) -> None:
    model = made(kind, server.url)
    assert model.dim == 8
    assert 0 < model.floor < 1
    assert (model.floor, len(server.requests)) == (model.floor, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/api"])
def test_an_address_may_end_as_other_programs_write_it(
    kind: str, end: str, server: EmbeddingServer
) -> None:
    made(kind, server.url + end).query("tide")
    assert server.requests[0][1] == PATHS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_word_is_zero_and_is_not_sent(kind: str, server: EmbeddingServer) -> None:
    model = made(kind, server.url)
    rows = model.documents(["", "tide", " \n"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([0, 1, 0])
    assert server.requests[0][3]["input"] == ["tide"]
    model.documents(["\ud800 lone", "x" * 100_000])
    assert [len(text) for text in server.requests[1][3]["input"]] == [6, 8000]


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_of_the_vault_is_a_bearer_token(kind: str, server: EmbeddingServer) -> None:
    made(kind, server.url, key="embed").query("tide")
    made(kind, server.url).query("tide")
    assert [bearer for _, _, bearer, _ in server.requests] == [f"Bearer {KEY}", None]


def test_ollamas_digest_is_in_the_fingerprint(server: EmbeddingServer) -> None:
    """What was pulled anew under one name counts as another model."""
    before = made("ollama", server.url).fingerprint
    server.models[0]["digest"] = "d2"
    assert before == "ollama:small#d1"
    assert made("ollama", server.url).fingerprint == "ollama:small#d2"
    for server.models in ([], [{"name": "another", "digest": "d"}]):
        assert made("ollama", server.url).fingerprint == f"ollama:small@{server.url}"
    server.answers = [(404, "no")]
    assert made("ollama", server.url).fingerprint == f"ollama:small@{server.url}"
    assert made("openai", server.url).fingerprint == f"openai:small@{server.url}"


# --- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_told_with_what_starts_it(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EmbedderUnavailable, match=f"{kind}:small cannot be reached") as refused:
            made(kind, url).query("tide")
    assert url in refused.value.message
    assert refused.value.exit_code == 4
    assert ("ollama serve" in str(refused.value.hint)) == (kind == "ollama")


def test_a_model_that_is_unknown_is_told_with_what_brings_it(server: EmbeddingServer) -> None:
    with pytest.raises(EmbedderMissing, match="try pulling it") as refused:
        made("ollama", server.url, model="huge").query("tide")
    assert refused.value.hint == "ollama pull huge"
    with pytest.raises(EmbedderMissing, match="not found"):
        made("openai", server.url, model="huge").query("tide")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda rows: [[float("nan"), *rows[0][1:]], *rows[1:]], "NaN or infinite"),
        (lambda rows: [[None, *rows[0][1:]], *rows[1:]], "NaN or infinite"),
        (lambda rows: [[float("inf"), *rows[0][1:]], *rows[1:]], "NaN or infinite"),
        (lambda rows: rows[1:], "not one vector for each of 2 texts"),
        (lambda rows: [*rows, rows[0]], "not one vector for each of 2 texts"),
        (lambda _: [], "not one vector for each"),
        (lambda _: [[], []], "not one vector for each"),
        (lambda rows: [rows[0], rows[1][:-1]], "not all of one length"),
        (lambda _: ["ab", "cd"], "no vectors"),
        (lambda _: [{}, {}], "no vectors"),
        (lambda _: [1.0, 2.0], "not one vector for each"),
    ],
)
def test_answers_that_are_no_vectors_are_refused(
    kind: str, wrong: Callable[[Any], Any], told: str, server: EmbeddingServer
) -> None:
    server.wrong = wrong
    with pytest.raises(EmbedderUnavailable, match=told):
        made(kind, server.url).documents(["tide", "harbour"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, "<html>", "no JSON"),
        (200, "[" * 100_000, "no JSON"),
        (200, "{}", "no vectors"),
        (200, "[]", "no vectors"),
        (200, '{"embeddings": 5, "data": 5}', "no vectors"),
        (302, "", r"\(302\)"),
        (401, '{"error": {"message": "who are you"}}', r"who are you \(401\)"),
        (500, '{"error": "out of memory"}', r"out of memory \(500\)"),
        (503, "busy", r"no reason given \(503\)"),
    ],
)
def test_every_answer_that_is_none_is_told(
    kind: str, status: int, body: str, told: str, server: EmbeddingServer
) -> None:
    server.answers = [(status, body)]
    with pytest.raises(EmbedderUnavailable, match=told):
        made(kind, server.url).query("tide")
    assert len(server.requests) == 1


def test_openais_rows_are_of_the_texts_that_their_indexes_name(server: EmbeddingServer) -> None:
    server.answers = [(200, '{"data": [{"index": 1, "embedding": [1, 0]}]}')]
    with pytest.raises(EmbedderUnavailable, match="no vectors"):
        made("openai", server.url).query("tide")


@pytest.mark.parametrize("kind", KINDS)
def test_other_dimensions_than_before_are_refused(kind: str, server: EmbeddingServer) -> None:
    model = made(kind, server.url)
    model.query("tide")
    server.dim = 9
    with pytest.raises(EmbedderUnavailable, match="have 9 dimensions now, and had 8") as refused:
        model.query("tide")
    assert "dino memory reindex" in str(refused.value.hint)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_a_server_repeats_is_not_shown(kind: str, server: EmbeddingServer) -> None:
    server.answers = [(401, f'{{"error": "bad key {KEY}"}}')]
    with pytest.raises(EmbedderUnavailable, match="bad key") as refused:
        made(kind, server.url, key="embed").query("tide")
    assert KEY not in f"{refused.value} {refused.value.hint}"
    assert refused.value.hint == "dino config set memory.embed_key NAME"


# --- a search does not wait for it -----------------------------------------------------------


class Away:
    """Stands for `call`, where nobody answers; told how long it was waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited: list[float] = []
        monkeypatch.setattr(over_http, "call", self)

    def __call__(self, *_: Any, timeout_s: float, **__: Any) -> Any:
        self.waited.append(timeout_s)
        raise Unreachable("no answer in time", heard=True)


@pytest.mark.parametrize("make", [over_http.Ollama, over_http.OpenAi])
def test_a_search_waits_seconds_for_a_server_and_then_not_for_a_minute(
    make: Any, monkeypatch: pytest.MonkeyPatch, server: EmbeddingServer, home: Path
) -> None:
    """It goes by words; `reindex` asks anyway, with patience, and an answer ends the quiet."""
    now, honest = [0.0], over_http.call
    model = make("small", server.url, clock=lambda: now[0])
    log = Journal(home / "log.jsonl")
    with MemoryStore(home / "m.db", log, embedder=lambda _: model) as store:
        store.add("k", "pump")
        away = Away(monkeypatch)
        for _ in range(3):
            assert [found["key"] for found in store.search("pump")] == ["k"]
        assert away.waited == [3.0]
        assert "failed a moment ago" in str(store.words_only())
        now[0] = 61.0
        store.search("pump")
        assert away.waited == [3.0, 3.0]
        with pytest.raises(EmbedderUnavailable):
            store.reindex()
        assert away.waited == [3.0, 3.0, 120.0]
        monkeypatch.setattr(over_http, "call", honest)
        assert store.reindex()["embedded"] == 1
        assert store.search("pump")[0]["meaning"] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_whether_something_waits_is_known_without_asking_a_server(
    kind: str, server: EmbeddingServer, home: Path
) -> None:
    """The service looks every minute, and has other things to do than to wait for one."""
    log = Journal(home / "log.jsonl")

    def store(url: str = server.url, name: str = "small") -> MemoryStore:
        model = made(kind, url, model=name)
        return MemoryStore(home / "m.db", log, embedder=lambda _: model)

    with store() as first:
        first.add("k", "pump")
        assert first.is_behind()
        assert server.requests == []
        first.reindex()
    asked = len(server.requests)
    with store() as same, store(name="other") as other:
        assert not same.is_behind()
        assert other.is_behind()
    if kind == "openai":  # nothing tells what is behind a name at another place
        with store(server.url.replace("127.0.0.1", "localhost")) as elsewhere:
            assert elsewhere.is_behind()
    assert len(server.requests) == asked


# --- where nothing goes ----------------------------------------------------------------------


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **_: Any) -> Any:
        raise AssertionError(f"a socket was opened: {arguments}")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.parametrize("kind", KINDS)
def test_offline_nothing_leaves_this_machine(
    kind: str, monkeypatch: pytest.MonkeyPatch, no_socket: None
) -> None:
    monkeypatch.setenv("DINO_OFFLINE", "1")
    for url in ("https://api.example", "http://192.0.2.1:11434", "https://localhost.example"):
        with pytest.raises(Denied, match="DINO_OFFLINE is set"):
            made(kind, url)


def test_offline_a_server_on_this_machine_is_asked(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINO_OFFLINE", "1")
    assert made("ollama", server.url).query("tide").any()
    assert made("ollama", f"http://localhost:{server.port}").query("tide").any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://site.example", "memory.embed_url: not an address"),
        ("api.example", "memory.embed_url: not an address"),
        ("https://me:secret@site.example", "a name or a password"),
        ("http://site.example", "would send the key in clear"),
        ("http://192.168.1.5:11434", "would send the key in clear"),
    ],
)
def test_an_address_that_cannot_be_or_would_tell_the_key_is_refused(
    kind: str, url: str, told: str, no_socket: None
) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        made(kind, url, key="embed")
    assert "secret@" not in str(refused.value)


def test_openai_has_no_address_of_its_own() -> None:
    """What is remembered goes nowhere that nobody named."""
    with pytest.raises(InvalidInput, match="has no address"):
        made("openai", "")


def test_a_name_that_stands_for_an_address_inside_is_not_dialled(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is among `nav.private_hosts`."""
    from dino_os.nav import dialling

    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr(dialling.socket, "getaddrinfo", lambda *_, **__: inside)
    monkeypatch.setattr(dialling.Dialler.__init__, "__defaults__", ((), lambda *_, **__: inside))
    settings = Memory(embedder="ollama:small", embed_url=f"http://embed.example:{server.port}")
    refused = embedder(settings, key=str)
    assert refused
    with pytest.raises(DinoError, match="is not asked") as told:
        refused.query("tide")
    assert "nav.private_hosts" in str(told.value.hint)
    assert server.requests == []
    let_in = embedder(settings, key=str, private_hosts=["embed.example"])
    assert let_in
    assert let_in.query("tide").any()
