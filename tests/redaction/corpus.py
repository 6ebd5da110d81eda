"""
A labelled corpus: values of every kind in sentences, logs and JSON, and what only looks like them.

Made from a seed.  What a value looks like is written down here a second time, from the rules of
who gives it out, so that a mistake of a detector does not repeat itself in what it is held against.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.redaction.credentials import (
    github,
    jwt,
    password,
    private_key,
    putty_key,
    random_secret,
    url_credentials,
)
from tests.redaction.keys import KEYS, SERVICES, key
from tests.redaction.lookalikes import lookalikes
from tests.redaction.values import CONTEXT, PERSONAL, WORDS, Maker, name


@dataclass(frozen=True)
class Sample:
    """A text; `value` is what must not be in it afterwards, empty where nothing may be taken out."""

    kind: str
    text: str
    value: str = ""


MADE: dict[str, Callable[[Maker], str]] = {**PERSONAL, "jwt": jwt, "private_key": private_key}
_SENTENCES = (
    "{0}", "got {0} from the form", "2026-11-22 02:23:06,123 INFO app.{w}: {0} accepted in {n} ms",
    'level=info msg="{w} done" value={0} n={n}', '{{"{w}": "{0}", "n": {n}}}', "({0})", "<td>{0}</td>", "see {0}, please.",
    "{w}: {0}; {w}", "Error: '{0}' is not known", "{0}\n{w} {w}", "[{w}] - {0} - {n}",
)  # fmt: skip


def positives(seed: int, each: int) -> Iterator[Sample]:
    """*each* samples of every kind."""
    m = Maker(seed)
    for _ in range(each):
        for kind, make in MADE.items():
            yield _in_a_sentence(m, kind, make(m), CONTEXT.get(kind, ""))
        for kind, form in KEYS.items():
            yield _in_a_sentence(m, kind, key(m, form))
        yield _in_a_sentence(m, "github_token", github(m))
        for kind, (said, form) in SERVICES.items():
            value = m.until(lambda form=form: key(m, form), lambda v: v[0].isalnum())
            yield Sample(kind, f"{said}{m.one('=', ': ', ' = ')}{value}", value)
        yield from _named(m)


def _in_a_sentence(m: Maker, kind: str, value: str, context: str = "") -> Sample:
    said = f"{context}: {value}" if context else value
    form = m.one(*_SENTENCES)
    if kind == "private_key" and form.startswith("{{"):
        form = "{0}"
    return Sample(kind, form.format(said, w=m.one(*WORDS), n=m.rng.randrange(1000)), value)


def _named(m: Maker) -> Iterator[Sample]:
    who, secret, word = name(m), random_secret(m), password(m)
    yield Sample(
        "name",
        m.one(
            f"Dear {m.one('Mr.', 'Mrs', 'Dr.', 'Herr', 'Frau', 'Mme', 'Prof.')} {who},",
            f'{{"full_name": "{who}"}}',
            f"customer_name={who}",
        ),
        who,
    )
    yield Sample(
        "password",
        m.one(
            f"password={word}",
            f'{{"password": "{word}"}}',
            f"DB_PASSWORD: '{word}'",
            f"contraseña: {word}",
            f"Passwort = {word}",
            f"mot de passe : {word}",
            f"my password is {word}",
            f"--password {word}",
            f"<senha>{word}</senha>",
            f"パスワード：{word}",
            f"пароль: {word}",
        ),
        word,
    )
    yield Sample(
        "secret",
        m.one(
            f"client_secret={secret}",
            f"Authorization: Bearer {secret}",
            f'{{"api_key":"{secret}"}}',
            f"signing key {secret}",
            f"SESSION_TOKEN={secret}",
            f"x-api-key: {secret}",
        ),
        secret,
    )
    pair = url_credentials(m)
    yield Sample(
        "url_credentials",
        f"{m.one('postgres', 'https', 'amqp', 'mongodb+srv')}://{pair}@db.internal:5432/{m.one(*WORDS)}",
        pair.partition(":")[2],
    )
    yield Sample("private_key", (value := putty_key(m)), value.splitlines()[-3])


def negatives(seed: int, each: int) -> Iterator[Sample]:
    """*each* rounds of what must stay as it is; some in the midst of other words."""
    m = Maker(seed)
    for _ in range(each):
        for kind, text in lookalikes(m):
            around = m.one("{}", "{}", "{w}: {}", "{} {w}", "- {}")
            yield Sample(kind, around.replace("{w}", m.one(*WORDS)).replace("{}", text))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "url-encoded": lambda v: "".join(f"%{b:02X}" for b in v.encode()),
    "base64": lambda v: base64.b64encode(f"value: {v}\n".encode()).decode(),
    "base64url": lambda v: base64.urlsafe_b64encode(f"value: {v}\n".encode()).decode().rstrip("="),
    "hex": lambda v: f"value: {v}\n".encode().hex(),
    "json escaped": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "entities": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "full-width": lambda v: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in v),
    "zero-width": "\u200b".join,
    "combining": lambda v: "".join(c + "\u0301" for c in v),
    "base64 in url": lambda v: (
        base64.b64encode(f"value: {v}\n".encode()).decode().replace("=", "%3D")
    ),
}
