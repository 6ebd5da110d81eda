"""
Embedders over HTTP: `ollama:MODEL`, and `openai:MODEL` at any endpoint of that shape.

    POST {url}/api/embed        {"model", "input": […]}  →  {"embeddings": [[…], …]}
    POST {url}/v1/embeddings    {"model", "input": […], "encoding_format": "float"}
                                →  {"data": [{"index", "embedding": […]}, …]}

Texts leave this process: they go to the address that was set and nowhere else, not through a proxy
and not after a redirect.  What comes back is believed only as far as it is vectors: as many as
there were texts, all of one length, all of finite numbers.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dino_os.errors import Denied, InvalidInput, MemoryLayerError
from dino_os.memory_layer.embedding.model import EmbedderAway, EmbedderMissing, EmbedderUnavailable
from dino_os.memory_layer.embedding.rows import Floats, readable, unit
from dino_os.redaction import Redactor
from dino_os.secret import Secret
from dino_os.web_calls import Answer, Dial, Unreachable, call, checked_url, origin_of

OLLAMA_URL = "http://127.0.0.1:11434"
_BATCH = 64
_MOST_CHARACTERS = 8000  # of a text: models over HTTP often refuse more tokens than that
_MOST_BYTES = 64 * 2**20
_TIMEOUT_S = 120.0  # a server may have to load the model first
_QUICK_S = 3.0  # where a search waits for it
_QUIET_S = 60.0  # after a failure searches do without
_NOT_FOUND, _FAULT = 404, 500
_NO_KEY = frozenset({401, 403})
# Sentences that have nothing to do with each other: what a model makes of them is its floor.
_UNRELATED = (
    "The harbour freezes over in the first week of February.",
    "Add two spoons of flour and stir until it thickens.",
    "A compiler turns source text into instructions.",
    "She won the semi-final in straight sets.",
    "Interest on the loan is due every quarter.",
    "Bees find their way home by the sun.",
    "The cathedral's organ was rebuilt after the fire.",
    "Please reset my password, I cannot log in.",
    "Tectonic plates move a few centimetres a year.",
    "His grandfather repaired watches in a small shop.",
    "The train to the airport leaves from platform nine.",
    "Vaccines teach the immune system what to look for.",
)


class HttpEmbedder:
    """
    What both have in common.

    Args:
        key: Sent as a bearer token.
        dial: Connects, where not every address that the name has may be connected to.
        clock: Seconds, only ever forward.

    What a search asks has a few seconds, and is not asked for a minute after a failure;
    `documents` and `prepare` have as long as it takes to load a model, and always ask.

    Raises:
        InvalidInput: It is no address, or would carry the key in clear over a network.
        Denied: The address is not on this machine, and `DINO_OFFLINE` is set.
    """

    kind: str
    local = False

    def __init__(
        self,
        model: str,
        url: str,
        key: Secret | None = None,
        *,
        dial: Dial | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.name = f"{self.kind}:{model}"
        self._site = _site(url, key)
        self._key = key
        self._dial = dial
        self._redactor = Redactor([key.reveal()] if key else [])
        self._dim = 0
        self._floor: float | None = None
        self._clock = clock
        self._quiet_until = -math.inf

    @property
    def dim(self) -> int:
        return self._dim or self._measured()[0]

    @property
    def floor(self) -> float:
        return self._measured()[1]

    @property
    def fingerprint(self) -> str:
        # Nothing tells what is behind a name there, so another place counts as another model.
        return f"{self.name}@{self._site}"

    def seems(self, name: str, fingerprint: str) -> bool:
        """Whether that may be this one, as far as can be told without asking the server."""
        return (name, fingerprint) == (self.name, self.fingerprint)

    def prepare(self) -> None:
        """Ask with patience what `dim`, `floor` and `fingerprint` are."""
        self._measured(quick=False)

    def documents(self, texts: Sequence[str]) -> Floats:
        """
        The vectors of *texts*.

        Raises:
            EmbedderUnavailable: The server did not answer, or not with vectors.
            EmbedderMissing: It does not have the model.
        """
        return self._made(texts, quick=False)

    def query(self, text: str) -> Floats:
        found: Floats = self._made([text], quick=True)[0]
        return found

    def _made(self, texts: Sequence[str], *, quick: bool) -> Floats:
        said = [readable(text)[:_MOST_CHARACTERS] for text in texts]
        full = [place for place, text in enumerate(said) if text.strip()]  # OpenAI refuses others
        made: Floats | None = None
        for start in range(0, len(full), _BATCH):
            part = full[start : start + _BATCH]
            rows = self._rows([said[place] for place in part], quick=quick)
            if made is None:
                made = np.zeros((len(texts), rows.shape[1]), np.float32)
            made[part] = rows
        if made is None:
            return np.zeros((len(texts), self._dim or self._measured(quick=quick)[0]), np.float32)
        return made

    def _asked(self, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """Path and body of a request for vectors."""
        raise NotImplementedError

    def _found(self, form: Any) -> list[Any]:
        """The vectors of an answer, in the order of the texts; LookupError and the like if none."""
        raise NotImplementedError

    def _measured(self, *, quick: bool = True) -> tuple[int, float]:
        """`dim` and `floor`."""
        if self._floor is None:
            rows = self._made(_UNRELATED, quick=quick)
            cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
            self._floor = float(min(cosines.mean() + cosines.std(), 0.95))
        return self._dim, self._floor

    def _rows(self, texts: Sequence[str], *, quick: bool) -> Floats:
        path, body = self._asked(texts)
        form = self._ask("POST", path, body, quick=quick)
        try:
            rows = np.asarray(self._found(form), np.float64)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise self._useless("are no vectors, or not all of one length") from None
        if rows.ndim != 2 or len(rows) != len(texts) or not rows.size:  # noqa: PLR2004
            raise self._useless(f"are not one vector for each of {len(texts)} texts")
        if not np.isfinite(rows).all():
            raise self._useless("have numbers in them that are none (NaN or infinite)")
        if self._dim and rows.shape[1] != self._dim:
            why = f"have {rows.shape[1]} dimensions now, and had {self._dim} before"
            raise self._useless(why, hint="`dino memory reindex` embeds everything anew")
        self._dim = rows.shape[1]
        return unit(rows)

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, quick: bool
    ) -> Any:
        if quick and self._clock() < self._quiet_until:
            raise EmbedderAway(
                f"the embedder {self.name} failed a moment ago, and is not asked for a minute",
                hint=self._hint_unreachable,
            )
        answer = self._answer(method, path, body, _QUICK_S if quick else _TIMEOUT_S)
        if not answer.ok:
            raise self._refused(answer)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise self._useless("cannot be read: they are no JSON") from None

    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float
    ) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        try:
            answer = call(
                method,
                self._site + path,
                headers=headers,
                body=json.dumps(body).encode() if body is not None else None,
                timeout_s=timeout_s,
                most_bytes=_MOST_BYTES,
                dial=self._dial,
            )
        except Denied as error:
            raise Denied(
                f"the embedder {self.name} is not asked: {error.message}",
                hint="`dino config set nav.private_hosts` names hosts of your own network",
            ) from None
        except Unreachable as error:
            self._quiet_until = self._clock() + _QUIET_S
            raise EmbedderAway(
                f"the embedder {self.name} cannot be reached: {error.message}",
                hint=self._hint_unreachable,
            ) from None
        failed = answer.status >= _FAULT
        self._quiet_until = self._clock() + _QUIET_S if failed else -math.inf
        return answer

    def _refused(self, answer: Answer) -> MemoryLayerError:
        said = self._redactor.redact(_said(answer.body))
        why = f"{self._site}: {said or 'no reason given'} ({answer.status})"
        if answer.status == _NOT_FOUND:
            return EmbedderMissing(
                f"the embedder {self.name} is not there: {why}", hint=self._hint_missing
            )
        hint = "dino config set memory.embed_key NAME" if answer.status in _NO_KEY else None
        return EmbedderUnavailable(f"the embedder {self.name} refused: {why}", hint=hint)

    def _useless(self, why: str, hint: str | None = None) -> EmbedderUnavailable:
        return EmbedderUnavailable(f"the answers of the embedder {self.name} {why}", hint=hint)

    @property
    def _hint_unreachable(self) -> str:
        return "dino config set memory.embed_url names another address"

    @property
    def _hint_missing(self) -> str:
        return "`dino config set memory.embedder` names another model"


class Ollama(HttpEmbedder):
    """A model of an Ollama server."""

    kind = "ollama"

    _found_fingerprint = ""

    @property
    def fingerprint(self) -> str:
        """With the digest of the model's files, where the server tells it."""
        self._found_fingerprint = self._found_fingerprint or self._look(quick=True)
        return self._found_fingerprint

    def seems(self, name: str, fingerprint: str) -> bool:
        likely = fingerprint.startswith(f"{name}#") or fingerprint == super().fingerprint
        return name == self.name and likely

    def prepare(self) -> None:
        super().prepare()
        self._found_fingerprint = self._found_fingerprint or self._look(quick=False)

    def _look(self, *, quick: bool) -> str:
        try:
            form = self._ask("GET", "/api/tags", quick=quick)
        except EmbedderMissing:  # something in between that lets through nothing else
            form = None
        models = form.get("models") if isinstance(form, dict) else None
        names = {self.model, f"{self.model}:latest"}
        for each in models if isinstance(models, list) else ():
            if isinstance(each, dict) and each.get("name") in names and each.get("digest"):
                return f"{self.name}#{str(each['digest'])[:64]}"
        return super().fingerprint

    def _asked(self, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        return "/api/embed", {"model": self.model, "input": [*texts], "truncate": True}

    def _found(self, form: Any) -> list[Any]:
        return list(form["embeddings"])

    @property
    def _hint_unreachable(self) -> str:
        return "`ollama serve` starts it; memory.embed_url names another address"

    @property
    def _hint_missing(self) -> str:
        return f"ollama pull {self.model}"


class OpenAi(HttpEmbedder):
    """A model at an endpoint of the shape of OpenAI's."""

    kind = "openai"

    def _asked(self, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
        body = {"model": self.model, "input": [*texts], "encoding_format": "float"}
        return "/v1/embeddings", body

    def _found(self, form: Any) -> list[Any]:
        rows = sorted(form["data"], key=lambda row: row["index"])
        if [row["index"] for row in rows] != [*range(len(rows))]:
            raise ValueError("texts are left out")
        return [row["embedding"] for row in rows]


def _site(url: str, key: Secret | None) -> str:
    try:
        parts = checked_url(url)
    except InvalidInput as error:
        raise InvalidInput(f"memory.embed_url: {error.message}", hint=error.hint) from None
    here = _is_this_machine(parts.hostname or "")
    if key and parts.scheme == "http" and not here:
        raise InvalidInput(
            f"memory.embed_url: {url!r} would send the key in clear", hint="use https"
        )
    if not here and os.environ.get("DINO_OFFLINE", "") not in {"", "0"}:
        raise Denied(
            f"{origin_of(parts)} is not on this machine, and DINO_OFFLINE is set: nothing is sent",
            hint="`dino config set memory.embedder words` embeds here",
        )
    path = parts.path.rstrip("/")
    for own in ("/v1", "/api"):  # as other programs write it, whose paths begin behind that
        path = path.removesuffix(own)
    return parts._replace(path=path.rstrip("/"), query="", fragment="").geturl()


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(body: bytes) -> str:
    """The reason in an answer's body: {"error": TEXT} or {"error": {"message": TEXT}}."""
    try:
        found = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    text = found.get("message") if isinstance(found, dict) else found
    return " ".join(text.split())[:200] if isinstance(text, str) else ""
