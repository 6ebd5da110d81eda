"""
`name = value` in any text, where the name says that the value is a secret or personal.

Names are found by their stems, in one pattern; what they mean is `fields.py`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engines.any_of import any_of
from engines.redaction.context import word_set
from engines.redaction.fields import CODE, GEO, NAME, PASSWORD, SECRET, fits, kind_of
from engines.redaction.model import LIKELY, POSSIBLE, Hit
from engines.redaction.views import Text

_ANYWHERE = (
    "pass", "secret", "token", "key", "pwd", "cred", "auth", "cookie", "name", "wort", "sess",
    "conn", "holder",
)  # fmt: skip
_words = word_set(
    "pw psw contrasena clave senha mot motdepasse mdp haslo heslo parol parola wachtwoord "
    "losenord adgangskode salasana jelszo sifre lozinka geslo pin pincode otp totp sig "
    "signature dsn geheim geheimnis segreto segredo secreto cvv cvc cvn csc code apellido "
    "apellidos prenom cognome nazwisko imie nombre nombres efternamn fornamn etternavn "
    "fornavn mnemonic seed jeton recovery backup mfa security sukunimi etunimi prijmeni jmeno "
    "contraseña lösenord hasło şifre prénom imię förnamn"
)
_FOREIGN = (
    "пароль", "密码", "密碼", "口令", "パスワード",
    "暗証", "비밀번호", "암호", "पासवर्ड", "รหัสผ่าน", "mật khẩu",
    "токен", "секрет", "令牌", "密钥", "トークン", "토큰",
    "фамилия", "имя", "фио", "姓名", "氏名", "名前",
    "이름", "성명", "秘密鍵", "κωδικ",
    "كلمة",
    "סיסמ",
)  # fmt: skip
_stems = re.compile(any_of(sorted({*_ANYWHERE, *_words, *_FOREIGN})))
_tail = re.compile(r"[\w.\-]{0,32}")
_operator = re.compile(
    r"(?:\\{0,3}[\"'`\]]){0,2}\s{0,4}"
    r"(?::\s{0,2}(?:str|string|String|bytes|Optional\[str\]|&str|const|char)\s{0,2}=|=>|:=|==?|:|>(?=[^\s<>\"'`]))"
    r"\s{0,4}(?:[bruf](?=[\"\']))?(?=\S)"
)
_spoken = re.compile(
    r"(?: number| value| code)? (?:is|was|est|ist|es|é|è|lautet|are|será|to)(?: now| set to)?:?"
    r" {1,2}(?=\S)"
)
_blank = re.compile(r"[ \t]{1,3}(?=[^\s=:])(?!--?[a-z-]{1,30}(?:[=\s]|$))")
# Behind a quote that is escaped itself an escaped one is the end.
_quoted = re.compile(
    r"\"(?:[^\"\\\r\n]|\\.){0,1024}|'(?:[^'\\\r\n]|\\.){0,1024}|`[^`\r\n]{0,1024}"
    r"|\\{1,3}(?:\"(?:[^\"\\\r\n]|\\[^\"\r\n]){0,1024}|'(?:[^'\\\r\n]|\\[^'\r\n]){0,1024})"
)
_LONG_VALUE, _AHEAD = 1024, 64  # a value; what may stand between a name's stem and its value
_rest = re.compile(r"[^\s\"'<>&,;`]{1,1048576}")
_bare = re.compile(r"(?:[^\s\"'<>&,;`]|[,;](?!\s|$|[\w.-]{1,40}[=:])){1,1024}")
_spoken_value = re.compile(r"[^\s\"'`]{1,128}")
_line = re.compile(r"[^\r\n\"]{1,4096}")
_scheme = re.compile(
    r"(?:bearer|basic|digest|token|apikey|aws4-hmac-sha256|negotiate|ntlm)\s{1,3}", re.IGNORECASE
)
_spoken_secret = re.compile(
    r"(?=[^\s]{0,64}\d)(?=[^\s]{0,64}[A-Za-z!@#$%^&*])|[^\s]{0,64}[!@#$%^&*]\S"
)
_whole_line = re.compile(r"authorization|cookie")
_LONGEST_NAME = 3


def cue(scanned: Text) -> bool:
    return scanned.holds(_ANYWHERE) or scanned.says(_words, _FOREIGN)


def find_pairs(scanned: Text) -> Iterator[Hit]:
    text, low = scanned.text, scanned.low
    done = taken = 0
    for stem in _stems.finditer(low):
        # What a name deep within a value that goes leads to goes with it.
        if stem.start() < done or stem.end() + _AHEAD < taken:
            continue
        tail = _tail.match(text, stem.end())
        end = tail.end() if tail else stem.end()
        name, kind, begin = _named(text, stem.start(), end)
        if not kind:
            continue
        place = _place(text, begin, end, kind)
        if place is None:
            continue
        start, stop, spoken = place
        value = text[start:stop]
        done = max(done, start)
        if spoken and not (kind == PASSWORD and _spoken_secret.match(value)) and kind != SECRET:
            continue
        whole = _whole_line.search(name.lower()) is not None
        if whole:
            start, stop = _rest_of_line(text, start, stop)
            value = text[start:stop]
        if _accepted(kind, value):
            if not (whole or spoken or kind == NAME or text[start - 1] in "\"'`"):
                if stop - start >= _LONG_VALUE and (rest := _rest.match(text, stop)):
                    stop = rest.end()
                taken = max(taken, stop)
            score = LIKELY if kind != NAME else POSSIBLE
            why = f"the name before it says {kind.replace('_', ' ')}"
            yield Hit(kind, start, stop, "named_value", score, why)


def _named(text: str, at: int, end: int) -> tuple[str, str, int]:
    """Of the names of up to three words that end at *end* one with a meaning, that, its start."""
    head = text[max(0, at - 60) : at]
    begin = at - len(head) + _word_before(head, len(head))
    found = ("", "", begin)
    for _ in range(_LONGEST_NAME):
        name = text[begin:end].strip(".-")
        if kind := kind_of(name):
            found = (name, kind, begin)
        before = text[max(0, begin - 40) : begin]
        if not before.endswith(" ") or len(before) < 2:  # noqa: PLR2004
            break
        begin = begin - len(before) + _word_before(before, len(before) - 1)
    return found


def _word_before(text: str, end: int) -> int:
    at = end
    while at and (text[at - 1].isalnum() or text[at - 1] in "_.-"):
        at -= 1
    return at


def _place(text: str, begin: int, end: int, kind: str) -> tuple[int, int, bool] | None:
    """Where the value stands, and whether a verb of a sentence leads to it."""
    spoken = False
    if operator := _operator.match(text, end):
        at = operator.end()
    elif operator := _spoken.match(text, end):
        at, spoken = operator.end(), True
    elif text.startswith("--", begin) and (operator := _blank.match(text, end)):
        at = operator.end()
    else:
        return None
    if quoted := _quoted.match(text, at):
        opening = len(quoted[0]) - len(quoted[0].lstrip("\\")) + 1
        return at + opening, quoted.end() - _trailing(quoted[0]), spoken
    if kind == NAME and (whole := _people.match(text, at)):
        return at, whole.end(), spoken
    if bare := (_spoken_value if spoken else _bare).match(text, at):
        closing = ",;)]" if "{" in bare[0] else ",;)]}"
        value = bare[0].rstrip(f"{closing}:.!?" if spoken else closing)
        return at, at + len(value or bare[0]), spoken
    return None


_people = re.compile(r"[^\W\d_][\w.'’-]{0,40}(?: [^\W\d_a-z][\w.'’-]{0,40}){0,4}")


def _trailing(quoted: str) -> int:
    """Backslashes at its end belong to the closing quote."""
    return len(quoted) - len(quoted.rstrip("\\"))


def _rest_of_line(text: str, start: int, stop: int) -> tuple[int, int]:
    line = _line.match(text, start)
    stop = max(stop, line.end() if line else stop)
    scheme = _scheme.match(text, start, stop)
    return (scheme.end() if scheme else start), len(text[:stop].rstrip(" '\t,;)]}"))


def _accepted(kind: str, value: str) -> bool:
    if kind == GEO:  # `places.py` knows them better
        return False
    if kind == CODE:
        return value.isdigit() and len(value) in {3, 4}
    return fits(kind, value)
