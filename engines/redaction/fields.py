"""Names of fields that say what stands in them, in several languages; and what cannot."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from engines.redaction.placeholders import is_monotonous, is_path, is_placeholder

PASSWORD, SECRET, CODE = "password", "secret", "card_code"
NAME, BIRTH, GEO = "name", "birth_date", "geo"

_camel = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_gap = re.compile(r"[\W_]+")
_password = re.compile(
    r"(?:.*(?:passwords?|passwd|passwort|kennwort|passphrase|passcode|contrasena|wachtwoord|losenord"
    r"|adgangskode|mot_?de_?passe|passord|salasana|lozinka|clave_?(?:secreta|privada|de_?acceso))"
    r"|(?:.*_)?(?:pwd|pass|pw|clave|senha|mdp|haslo|heslo|parola|jelszo|sifre|geslo|parol|psw|pin_?code"
    r"|code_?pin|pin)"
    r"|.*(?:пароль|密码|密碼|口令|パスワード|暗証番号|비밀번호|암호|पासवर्ड|كلمة_?المرور|كلمة_?السر|סיסמה|סיסמא"
    r"|κωδικος|mat_khau|รหัสผ่าน))"
    r"(?:_(?:hash|old|new|again|confirm|confirmation|value|text|plain|salt|\d{1,2}))?"
)
_secret = re.compile(
    r".*(?:secrets?|api_?keys?|(?:access|refresh|id|auth|session|csrf|xsrf|bearer|security|api|sas|bot"
    r"|device|push|reset|invite|verification|registration|service|client|user|personal|deploy)_?tokens?"
    r"|(?:access|private|secret|encryption|signing|master|license|account|shared|storage|service"
    r"|subscription|deploy|host|root|hmac|aes|rsa|ssh|ssl|tls|pgp|gpg|crypto|auth|session|app|webhook)"
    r"_?keys?(?:_?(?:id|base64|pem))?|authorization|credentials?|connection_?string|conn_?str)"
    r"|(?:.*_)?(?:token|cookies?|set_cookie|auth|phpsessid|jsessionid|sessionid|sessid|otp|totp|mfa_code"
    r"|one_time_code|recovery_codes?|backup_codes?|security_answer|x_amz_signature|sig|dsn|mnemonic"
    r"|seed_phrase|geheimnis|schlussel|secreto|segredo|segreto|geheim|ficha_de_acceso|jeton|токен|секрет"
    r"|令牌|密钥|秘密鍵|トークン|토큰)"
)
_no_secret = re.compile(
    r"(?:.*_)?(?:next|page|continuation|cursor|stop|eos|bos|pad|unk|sep|cls|max|cancel|cancellation"
    r"|sync|public|primary|foreign|partition|sort|row)_?(?:page_?)?(?:token|key)s?"
)
_code = re.compile(r"(?:.*_)?(?:cvv2?|cvc2?|cvn|csc|card_?(?:security_|verification_)?code)")
_name = re.compile(
    r"(?:.*_)?(?:first|last|given|family|middle|full|maiden|legal|customer|patient|employee|contact"
    r"|recipient|beneficiary|card_?holder|account_?holder|guest|passenger|student|applicant|spouse"
    r"|guardian|billing|shipping|person|member|donor|insured|next_of_kin)_?(?:full_?)?names?"
    r"|(?:.*_)?(?:surname|forename|vorname|nachname|familienname|nombre_completo|nombres|apellidos?"
    r"|primer_apellido|segundo_apellido|prenom|nom_de_famille|nom_complet|cognome|nome_completo"
    r"|sobrenome|achternaam|voornaam|imie|nazwisko|efternamn|fornamn|etternavn|fornavn|efternavn"
    r"|cardholder|card_?holder|account_?holder|sukunimi|etunimi|prijmeni|jmeno|имя|фамилия|отчество|фио"
    r"|姓名|氏名|名前|お名前|이름|성명)"
)
_birth = re.compile(
    r"(?:.*_)?(?:dob|d_o_b|date_of_birth|birth_?date|birth_?day|born|born_on|geburtsdatum|geburtstag"
    r"|fecha_?(?:de_)?nacimiento|date_?(?:de_)?naissance|data_?(?:di_)?nascita|data_?(?:de_)?nascimento"
    r"|geboortedatum|fodelsedatum|fødselsdato|fodselsdato|syntymaaika|data_urodzenia|datum_narozeni"
    r"|дата_рождения|生年月日|出生日期|생년월일)"
)
_geo = re.compile(
    r"(?:.*_)?(?:lat|latitude|lng|lon|longitude|latitud|longitud|breitengrad|langengrad|latitudine"
    r"|longitudine)"
)
_kinds = (
    (CODE, _code),
    (PASSWORD, _password),
    (SECRET, _secret),
    (NAME, _name),
    (BIRTH, _birth),
    (GEO, _geo),
)
_hinting = re.compile(
    r"ssn|social|tax|tin\b|itin|\bsin\b|tfn|bsn|sofi|nhs|steuer|idnr|pesel|person|cpr|fnr|national|regist"
    r"|cpf|cnpj|aadhaa?r|uid\b|\bnir\b|\bnas\b|secu|insee|dni|nif|\bnie\b|nino|insur|\bpan\b|hetu|codice"
    r"|fiscal|resident|身份证|iban|card|karte|tarjeta|carte|cc\b|phone|tel\b|telef|tele|mobil|movil|fax|cell"
    r"|celular|handy|whatsapp|\bmac\b|hwaddr|bssid|geo|coord|position|locat|gps|key|secret|token|auth"
    r"|cred|passw|webhook|電話|电话|電話番号"
)
_words = re.compile(
    r"[A-Za-z]?[a-z]{1,20}(?:[-_ .][a-z]{1,20}){0,6}|[A-Z]{1,12}(?:_[A-Z]{1,12}){0,6}"
)
_person = re.compile(r"[^\W\d_][^\d_/@<>{}\[\]=:;|\\]{0,80}")
_SECRET_SIZE, _LONG, _PIN = 8, 20, 4


@lru_cache(maxsize=4096)
def kind_of(name: str) -> str:
    """What a field called *name* holds, by its name alone; empty where that says nothing."""
    plain = plain_name(name)
    for kind, pattern in _kinds:
        if pattern.fullmatch(plain):
            return "" if kind == SECRET and _no_secret.fullmatch(plain) else kind
    return ""


@lru_cache(maxsize=4096)
def hint(name: str) -> str:
    """*name* as words before its value, where they help to say what that is; else nothing."""
    words = plain_name(name).replace("_", " ")
    return f"{words}: " if _hinting.search(words) else ""


def fits(kind: str, value: str) -> bool:
    """Whether *value* can be what its field's name says; no placeholder, no word of a sentence."""
    value = value.strip()
    if not value or is_placeholder(value):
        return False
    if kind == SECRET:
        worded = len(value) < _LONG and _words.fullmatch(value)
        return len(value) >= _SECRET_SIZE and not worded and not is_monotonous(value)
    if kind == NAME:
        return _person.fullmatch(value) is not None
    if kind in {BIRTH, CODE}:
        return any(map(str.isdigit, value))
    if kind == GEO:
        return _is_degree(value)
    # Counts of what passed are no passwords.
    return not is_path(value) and not (value.isdigit() and len(value) < _PIN)


def plain_name(name: str) -> str:
    """In small letters without accents, words parted by `_`."""
    if not name.isascii():
        apart = unicodedata.normalize("NFKD", name)
        name = unicodedata.normalize(
            "NFC", "".join(c for c in apart if not ("\u0300" <= c <= "\u036f"))
        )
    return _gap.sub("_", _camel.sub("_", name)).strip("_").lower()


def _is_degree(value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return abs(number) <= 180 and len(value.partition(".")[2]) > 1  # noqa: PLR2004  degrees
