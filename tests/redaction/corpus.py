"""
A labelled corpus: values of every kind in sentences, logs and JSON, and what only looks like them.

Made from a seed.  What a value looks like is written down here a second time, from the rules of
who gives it out, so that a mistake of a detector does not repeat itself in what it is held against.
"""

from __future__ import annotations

import base64
import json
import random
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEX, ALNUM = "0123456789abcdef", string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
WORDS = [
    "worker",
    "request",
    "cache",
    "pool",
    "flush",
    "handler",
    "payload",
    "index",
    "shard",
    "replica",
    "leader",
    "batch",
    "retry",
    "window",
    "schema",
    "render",
    "queue",
    "metric",
    "bucket",
    "region",
    "planner",
    "station",
    "report",
    "night",
    "shift",
    "crew",
]


@dataclass(frozen=True)
class Sample:
    """A text; `value` is what must not be in it afterwards, empty where nothing may be taken out."""

    kind: str
    text: str
    value: str = ""


class Maker:
    """Makes values, by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def of(self, alphabet: str, size: int) -> str:
        return "".join(self.rng.choices(alphabet, k=size))

    def digits(self, size: int) -> str:
        return self.of(string.digits, size)

    def one(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def until(self, make: Callable[[], str], right: Callable[[str], bool]) -> str:
        while not right(found := make()):
            pass
        return found


def luhn_digit(body: str) -> str:
    total = 0
    for at, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if at % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


# Kinds of personal data.


def email(m: Maker) -> str:
    name = m.one("ada", "jo.smith", "m_mueller", "x+news", "o'brien", "li.wei2", "dpo-team", "zoë")
    host = m.one("example.com", "mail.example.co.uk", "firma.de", "uni-x.edu", "straße.de", "a.io")
    return f"{name}{m.rng.randrange(999)}@{host}"


def phone(m: Maker) -> str:
    return m.one(
        f"+1 {m.one('212', '415', '312')} 555 {m.rng.randrange(2000, 9999)}",
        f"+49 30 {m.rng.randrange(200000, 999999)}",
        f"+44 20 7946 0{m.digits(3)}",
        f"+33 1 42 {m.rng.randrange(10, 99)} {m.digits(2)} {m.digits(2)}",
        f"({m.one('212', '415', '312')}) {m.rng.randrange(220, 989)}-{m.digits(4)}",
        f"{m.one('212', '415', '312')}-{m.rng.randrange(220, 989)}-{m.digits(4)}",
        f"+81-3-{m.rng.randrange(3200, 3999)}-{m.digits(4)}",
        f"+34 91{m.rng.randrange(1, 9)} {m.digits(3)} {m.digits(3)}",
    )


def card(m: Maker) -> str:
    prefix, size = m.rng.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15),
         ("6011", 16), ("65", 16), ("3528", 16), ("62", 16), ("4", 19), ("5018", 16)]
    )  # fmt: skip
    body = prefix + m.digits(size - 1 - len(prefix))
    number = body + luhn_digit(body)
    if size == 16:
        groups = [number[i : i + 4] for i in range(0, 16, 4)]
    elif size == 15:
        groups = [number[:4], number[4:10], number[10:]]
    else:
        return number
    return m.one("", " ", "-").join(groups)


def iban(m: Maker) -> str:
    country, size = m.rng.choice([("DE", 18), ("GB", 18), ("FR", 23), ("ES", 20), ("NL", 14), ("NO", 11), ("PL", 24), ("BE", 12)])  # fmt: skip
    body = m.digits(size)
    if country in {"GB", "NL"}:
        body = m.of(string.ascii_uppercase, 4) + body[4:]
    number = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
    whole = f"{country}{98 - number % 97:02}{body}"
    return (
        whole
        if m.rng.random() < 0.5
        else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))
    )


def us_ssn(m: Maker) -> str:
    area = m.until(lambda: f"{m.rng.randrange(1, 900):03}", lambda a: a != "666")
    return f"{area}-{m.rng.randrange(1, 100):02}-{m.rng.randrange(1, 10000):04}"


def uk_nino(m: Maker) -> str:
    prefix = m.one("AB", "CE", "JK", "PW", "SX", "AA")
    sep = m.one("", " ")
    d = m.digits(6)
    return sep.join([prefix, d[:2], d[2:4], d[4:], m.one(*"ABCD")])


def es_dni(m: Maker) -> str:
    number = m.rng.randrange(10**7, 10**8)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def es_nie(m: Maker) -> str:
    first, rest = m.rng.randrange(3), m.digits(7)
    return f"{'XYZ'[first]}{rest}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(f'{first}{rest}') % 23]}"


def it_fiscal(m: Maker) -> str:
    odd = dict(zip(UPPER[26:] + UPPER[:26], [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23], strict=True))  # fmt: skip
    letters = string.ascii_uppercase
    body = (
        f"{m.of(letters, 6)}{m.digits(2)}{m.one(*'ABCDEHLMPRST')}{m.rng.randrange(1, 29):02}"
        f"{m.one(*letters)}{m.digits(3)}"
    )
    total = sum(odd[c] for c in body[::2])
    total += sum(int(c) if c.isdigit() else letters.index(c) for c in body[1::2])
    return body + letters[total % 26]


def de_tax(m: Maker) -> str:
    chosen = m.rng.sample(string.digits, 9)
    ten = [*chosen, m.rng.choice(chosen)]
    m.rng.shuffle(ten)
    if ten[0] == "0":
        ten.reverse()
    body = "".join(ten)
    if body[0] == "0":
        return de_tax(m)
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return f"{body}{(11 - product) % 10}"


def fr_nir(m: Maker) -> str:
    body = f"{m.one('1', '2')}{m.digits(2)}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 96):02}{m.rng.randrange(1, 990):03}{m.rng.randrange(1, 999):03}"
    return f"{body}{97 - int(body) % 97:02}"


def nl_bsn(m: Maker) -> str:
    def right(d: str) -> bool:
        return (
            sum(w * int(c) for w, c in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), d, strict=True)) % 11 == 0
        )

    return m.until(lambda: str(m.rng.randrange(10**8, 10**9)), right)


def be_national(m: Maker) -> str:
    y, mo, d, n = (
        m.rng.randrange(40, 99),
        m.rng.randrange(1, 13),
        m.rng.randrange(1, 28),
        m.rng.randrange(1, 998),
    )
    check = 97 - int(f"{y:02}{mo:02}{d:02}{n:03}") % 97
    return f"{y:02}.{mo:02}.{d:02}-{n:03}.{check:02}"


def pl_pesel(m: Maker) -> str:
    body = f"{m.rng.randrange(40, 99):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(4)}"
    total = sum(w * int(c) for w, c in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), body, strict=True))
    return f"{body}{-total % 10}"


def se_personal(m: Maker) -> str:
    body = f"{m.rng.randrange(40, 99):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(3)}"
    whole = body + luhn_digit(body)
    return f"{whole[:6]}-{whole[6:]}"


def br_cpf(m: Maker) -> str:
    body = m.digits(9)
    for size in (9, 10):
        total = sum((size + 1 - i) * int(c) for i, c in enumerate(body))
        body += str(0 if total % 11 < 2 else 11 - total % 11)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def br_cnpj(m: Maker) -> str:
    body = m.digits(8) + "0001"
    for weights in ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)):
        total = sum(w * int(c) for w, c in zip(weights, body, strict=True))
        body += str(0 if total % 11 < 2 else 11 - total % 11)
    return f"{body[:2]}.{body[2:5]}.{body[5:8]}/{body[8:12]}-{body[12:]}"


_VERHOEFF_D = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527",
               "9453126870", "4286573901", "2793806415", "7046913258")  # fmt: skip


def in_aadhaar(m: Maker) -> str:
    body = m.one(*"23456789") + m.digits(10)
    for check in string.digits:
        c = 0
        for i, digit in enumerate(reversed(body + check)):
            c = int(_VERHOEFF_D[c][int(_VERHOEFF_P[i % 8][int(digit)])])
        if c == 0:
            whole = body + check
            return f"{whole[:4]} {whole[4:8]} {whole[8:]}"
    raise AssertionError


def ca_sin(m: Maker) -> str:
    body = m.one(*"1234567") + m.digits(7)
    whole = body + luhn_digit(body)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def au_tfn(m: Maker) -> str:
    def right(d: str) -> bool:
        return (
            sum(w * int(c) for w, c in zip((1, 4, 3, 7, 5, 8, 6, 9, 10), d, strict=True)) % 11 == 0
        )

    whole = m.until(lambda: str(m.rng.randrange(10**8, 10**9)), right)
    return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def uk_nhs(m: Maker) -> str:
    while True:
        body = m.one(*"456789") + m.digits(8)
        check = 11 - sum((10 - i) * int(c) for i, c in enumerate(body)) % 11
        if check != 10:
            whole = body + str(check % 11)
            return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def fi_hetu(m: Maker) -> str:
    day, number = (
        f"{m.rng.randrange(1, 29):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(40, 99):02}",
        f"{m.rng.randrange(2, 900):03}",
    )
    return f"{day}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(day + number) % 31]}"


def no_fnr(m: Maker) -> str:
    while True:
        d = f"{m.rng.randrange(1, 29):02}{m.rng.randrange(1, 13):02}{m.rng.randrange(40, 99):02}{m.digits(3)}"
        one = 11 - sum(w * int(c) for w, c in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), d, strict=True)) % 11
        one = 0 if one == 11 else one
        two = (
            11
            - sum(
                w * int(c)
                for w, c in zip((5, 4, 3, 2, 7, 6, 5, 4, 3, 2), f"{d}{one}"[:10], strict=False)
            )
            % 11
        )
        two = 0 if two == 11 else two
        if one != 10 and two != 10:
            return f"{d}{one}{two}"


def cn_resident(m: Maker) -> str:
    body = f"110105{m.rng.randrange(1950, 2005)}{m.rng.randrange(1, 13):02}{m.rng.randrange(1, 29):02}{m.digits(3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(w * int(c) for w, c in zip(weights, body, strict=True)) % 11]


def ipv4(m: Maker) -> str:
    return ".".join(str(m.rng.randrange(1, 254)) for _ in range(4)).replace("127.", "128.", 1)


def ipv6(m: Maker) -> str:
    groups = [f"{m.rng.randrange(1, 65536):x}" for _ in range(8)]
    return m.one(
        ":".join(groups),
        f"2001:db8:{groups[0]}::{groups[1]}",
        f"fe80::{groups[2]}:{groups[3][:2]}ff:fe01:1",
    )


def mac(m: Maker) -> str:
    pairs = [m.of(HEX, 2) for _ in range(6)]
    return m.one(":".join(pairs), "-".join(pairs).upper())


def geo(m: Maker) -> str:
    return f"{m.rng.uniform(-85, 85):.6f}, {m.rng.uniform(-175, 175):.6f}"


def birth_date(m: Maker) -> str:
    y, mo, d = m.rng.randrange(1930, 2010), m.rng.randrange(1, 13), m.rng.randrange(1, 29)
    month = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ][mo - 1]
    return m.one(
        f"{y}-{mo:02}-{d:02}",
        f"{d:02}/{mo:02}/{y}",
        f"{d}.{mo}.{y}",
        f"{d} {month} {y}",
        f"{month} {d}, {y}",
    )


def name(m: Maker) -> str:
    first = m.one("Ada", "Grace", "José", "Anna", "Wei", "Björn", "Fatima", "Ivan")
    last = m.one(
        "Lovelace",
        "Hopper",
        "García",
        "Müller-Lüdenscheid",
        "van Dyke",
        "O'Brien",
        "Østergård",
        "Petrov",
    )
    return f"{first} {last}"


# Secrets.


def password(m: Maker) -> str:
    return m.one(
        "hunter", "Tr0ub4dor&", "correct-horse-", "p@ss!", "Sommer_", "zaq1ZAQ", "%dragon."
    ) + m.digits(3)


def jwt(m: Maker) -> str:
    def part(form: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(form).encode()).decode().rstrip("=")

    header = {"alg": m.one("HS256", "RS256", "EdDSA"), "typ": "JWT"}
    return f"{part(header)}.{part({'sub': m.digits(8), 'iat': m.rng.randrange(10**9)})}.{m.of(ALNUM + '-_', 43)}"


def private_key(m: Maker) -> str:
    label = m.one(
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    )
    body = "\n".join(m.of(ALNUM + "+/", 64) for _ in range(m.rng.randrange(3, 9)))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----"


def putty_key(m: Maker) -> str:
    lines = "\n".join(m.of(ALNUM + "+/", 64) for _ in range(4))
    return f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 2\n{m.of(ALNUM, 64)}\n{m.of(ALNUM, 20)}\nPrivate-Lines: 4\n{lines}\nPrivate-MAC: {m.of(HEX, 64)}"


def random_secret(m: Maker) -> str:
    return m.until(
        lambda: m.of(ALNUM, m.rng.randrange(32, 48)), lambda s: any(c.isdigit() for c in s)
    )


def url_credentials(m: Maker) -> str:
    return f"{m.one('app', 'svc', 'admin')}:{m.of(ALNUM + '_-', 12)}1"


def _crc62(body: str) -> str:
    number, out = zlib.crc32(body.encode()), ""
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    for _ in range(6):
        number, digit = divmod(number, 62)
        out = alphabet[digit] + out
    return out


def _github(m: Maker) -> str:
    body = m.of(ALNUM, 30)
    return f"{m.one('ghp', 'gho', 'ghu', 'ghs')}_{body}{_crc62(body)}"


# A letter stands for one character: a letters and digits, h hex, u capitals and digits, w with _
# and -, d digits, l letters; after it how many.  What is in brackets stands as it is.
KEYS = {
    "adafruit_io_key": "[aio_]a28", "age_secret_key": "[AGE-SECRET-KEY-1]x58", "airtable_token": "[pat]a14[.]h64",
    "alibaba_access_key": "[LTAI]a20", "anthropic_key": "[sk-ant-api03-]w93[AA]", "apify_token": "[apify_api_]a36",
    "artifactory_key": "[AKCp]a69", "asana_token": "[1/]d16[:]h32", "atlassian_token": "[ATATT3]w186",
    "aws_access_key": "[AKIA]b16", "axiom_token": "[xaat-]h8[-]h4[-]h4[-]h4[-]h12", "bitbucket_token": "[ATBB]a32",
    "buildkite_token": "[bkua_]h40", "circleci_token": "[CCIPAT_]a22[_]h40", "clickhouse_key": "[4b1d]a38",
    "clojars_token": "[CLOJARS_]a60", "cloudflare_ca_key": "[v1.0-]h24[-]h146", "contentful_token": "[CFPAT-]w43",
    "crates_io_token": "[cio]a32", "databricks_token": "[dapi]h32", "deno_token": "[ddp_]a36",
    "digitalocean_token": "[dop_v1_]h64", "docker_token": "[dckr_pat_]w27", "doppler_token": "[dp.pt.]a43",
    "duffel_token": "[duffel_live_]w43", "dynatrace_token": "[dt0c01.]u24[.]u64", "easypost_key": "[EZAK]a54",
    "elevenlabs_key": "[sk_]h48", "facebook_token": "[EAAB]a120", "figma_token": "[figd_]w40",
    "firecrawl_key": "[fc-]h32", "flutterwave_key": "[FLWSECK_TEST-]h32[-X]", "flyio_token": "[fo1_]w43",
    "frameio_token": "[fio-u-]w64", "google_api_key": "[AIza]w35", "google_oauth_secret": "[GOCSPX-]w28",
    "google_oauth_token": "[ya29.]w80", "github_token": "[github_pat_]a22[_]a59", "gitlab_token": "[glpat-]w20",
    "grafana_token": "[glc_]a60", "groq_key": "[gsk_]a52", "harness_token": "[pat.]w22[.]a24[.]a20",
    "hashicorp_vault_token": "[hvs.]w92", "heroku_key": "[HRKU-]h8[-]h4[-]h4[-]h4[-]h12",
    "honeycomb_key": "[hcaik_]a58", "hubspot_token": "[pat-na1-]h8[-]h4[-]h4[-]h4[-]h12",
    "huggingface_token": "[hf_]l34", "infracost_key": "[ico-]a32", "intra42_secret": "[s-s4t2ud-]h64",
    "jina_key": "[jina_]w60", "klaviyo_key": "[pk_]h34", "langfuse_key": "[sk-lf-]h8[-]h4[-]h4[-]h4[-]h12",
    "langsmith_key": "[lsv2_pt_]h32[_]h10", "launchdarkly_key": "[sdk-]h8[-]h4[-]h4[-]h4[-]h12",
    "linear_key": "[lin_api_]a40", "lob_key": "[live_]h35", "mailersend_key": "[mlsn.]h64", "mailgun_key": "[key-]h32",
    "mapbox_token": "[sk.eyJ]a60[.]w22", "mailchimp_key": "h32[-us14]", "neon_key": "[napi_]a64",
    "netlify_token": "[nfp_]a36", "newrelic_key": "[NRAK-]u27", "notion_token": "[ntn_]d11a35",
    "npm_token": "[npm_]a36", "nuget_key": "[oy2]z43", "nvidia_key": "[nvapi-]w64", "nylas_key": "[nyk_v0_]a64",
    "octopus_deploy_key": "[API-]u26", "onepassword_key": "[A3-]u6[-]u11[-]u5[-]u5[-]u5",
    "openai_key": "[sk-proj-]w74[T3BlbkFJ]w74", "openrouter_key": "[sk-or-v1-]h64", "openshift_token": "[sha256~]w43",
    "perplexity_key": "[pplx-]a48", "pinecone_key": "[pcsk_]a6[_]a63", "plaid_token": "[access-production-]h8[-]h4[-]h4[-]h4[-]h12",
    "planetscale_token": "[pscale_tkn_]w43", "posthog_key": "[phx_]a43", "postman_key": "[PMAK-]h24[-]h34",
    "prefect_key": "[pnu_]a36", "pulumi_token": "[pul-]h40", "pypi_token": "[pypi-AgEIcHlwaS5vcmc]w120",
    "razorpay_key": "[rzp_live_]a14", "readme_key": "[rdme_]z70", "replicate_token": "[r8_]a37", "resend_key": "[re_]a8[_]a24",
    "rubygems_key": "[rubygems_]h48", "scalingo_token": "[tk-us-]w48", "sendgrid_key": "[SG.]w22[.]w43",
    "sendinblue_key": "[xkeysib-]h64[-]a16", "sentry_token": "[sntryu_]h64", "settlemint_token": "[sm_pat_]a16",
    "shippo_token": "[shippo_live_]h40", "shopify_token": "[shpat_]h32", "slack_token": "[xoxb-]d12[-]d12[-]a24",
    "slack_webhook": "[https://hooks.slack.com/services/T]u8[/B]u8[/]a24", "sonar_token": "[squ_]h40",
    "sourcegraph_token": "[sgp_]h40", "square_token": "[sq0atp-]w22", "stripe_key": "[sk_live_]a24", "supabase_key": "[sbp_]h40",
    "tailscale_key": "[tskey-auth-]a12[-]a32", "tavily_key": "[tvly-]a32", "telegram_bot_token": "d9[:A]w34",
    "terraform_token": "a14[.atlasv1.]w64", "together_key": "[tgp_v1_]w43", "trello_token": "[ATTA]a72", "twilio_key": "[SK]h32",
    "typeform_token": "[tfp_]w59", "vercel_blob_token": "[vercel_blob_rw_]a16[_]a30", "voyage_key": "[pa-]w43",
    "wakatime_key": "[waka_]h8[-]h4[-]h4[-]h4[-]h12", "xai_key": "[xai-]a80", "azure_client_secret": "a3d1[Q~]w34",
    "azure_devops_token": "a76[AZDO]a4", "azure_storage_key": "[AccountKey=]p86[==]", "discord_bot_token": "[M]w24[.]w6[.]w38",
    "paypal_token": "[access_token$production$]z16[$]h32", "snyk_token": "[snyk_uat.]h8[.]w40[.]w60",
    "yandex_key": "[AQVN]w38", "teams_webhook": "[https://acme.webhook.office.com/webhookb2/]h8[-]h4[-]h4[-]h4[-]h12[@]h8[-]h4[-]h4[-]h4[-]h12[/IncomingWebhook/]h32[/]h8[-]h4[-]h4[-]h4[-]h12",
    "discord_webhook": "[https://discord.com/api/webhooks/]d18[/]w68", "maxmind_key": "a6[_]a29[_mmk]", "wandb_key": "[wandb_v1_]w77",
}  # fmt: skip
_ALPHABETS = {
    "a": ALNUM, "h": HEX, "u": UPPER, "w": ALNUM + "_-", "d": string.digits, "l": string.ascii_letters,
    "b": string.ascii_uppercase + "234567", "z": string.ascii_lowercase + string.digits, "p": ALNUM + "+/",
    "x": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}  # fmt: skip


def key(m: Maker, form: str) -> str:
    out, at = [], 0
    while at < len(form):
        if form[at] == "[":
            end = form.index("]", at)
            out.append(form[at + 1 : end])
            at = end + 1
            continue
        end = at + 1
        while end < len(form) and form[end].isdigit():
            end += 1
        out.append(m.of(_ALPHABETS[form[at]], int(form[at + 1 : end])))
        at = end
    # A value that ends in a sign would end before it.
    return "".join(out) if out[-1][-1].isalnum() or out[-1] == "==" else key(m, form)


_SERVICE = {"aws_secret_key": ("aws_secret_access_key", "p40"), "datadog_key": ("datadog api key", "h32"),
            "twilio_token": ("TWILIO_AUTH_TOKEN", "h32"), "algolia_key": ("algolia_api_key", "h32"),
            "cloudflare_token": ("CLOUDFLARE_API_TOKEN", "w40"), "okta_token": ("okta token", "[00]w40")}  # fmt: skip

# Words that must stand before a value whose form alone says too little.
CONTEXT = {
    "ca_sin": "SIN", "au_tfn": "tax file number", "nl_bsn": "BSN", "pl_pesel": "PESEL", "de_tax": "Steuer-ID",
    "uk_nhs": "NHS number", "geo": "location", "birth_date": "date of birth",
}  # fmt: skip
PERSONAL: dict[str, Callable[[Maker], str]] = {
    "email": email, "phone": phone, "card": card, "iban": iban, "us_ssn": us_ssn, "uk_nino": uk_nino,
    "es_dni": es_dni, "es_nie": es_nie, "it_fiscal": it_fiscal, "de_tax": de_tax, "fr_nir": fr_nir,
    "nl_bsn": nl_bsn, "be_national": be_national, "pl_pesel": pl_pesel, "se_personal": se_personal,
    "br_cpf": br_cpf, "br_cnpj": br_cnpj, "in_aadhaar": in_aadhaar, "ca_sin": ca_sin, "au_tfn": au_tfn,
    "uk_nhs": uk_nhs, "fi_hetu": fi_hetu, "no_fnr": no_fnr, "cn_resident": cn_resident, "ipv4": ipv4,
    "ipv6": ipv6, "mac": mac, "geo": geo, "birth_date": birth_date, "jwt": jwt, "private_key": private_key,
}  # fmt: skip
_SENTENCES = (
    "{0}", "got {0} from the form", "2026-11-22 02:23:06,123 INFO app.{w}: {0} accepted in {n} ms",
    'level=info msg="{w} done" value={0} n={n}', '{{"{w}": "{0}", "n": {n}}}', "({0})", "<td>{0}</td>", "see {0}, please.",
    "{w}: {0}; {w}", "Error: '{0}' is not known", "{0}\n{w} {w}", "[{w}] - {0} - {n}",
)  # fmt: skip


def positives(seed: int, each: int) -> Iterator[Sample]:
    """*each* samples of every kind."""
    m = Maker(seed)
    for _ in range(each):
        for kind, make in PERSONAL.items():
            yield _in_a_sentence(m, kind, make(m), CONTEXT.get(kind, ""))
        for kind, form in KEYS.items():
            yield _in_a_sentence(m, kind, key(m, form))
        yield _in_a_sentence(m, "github_token", _github(m))
        for kind, (said, form) in _SERVICE.items():
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


# What only looks like them.


def _negatives_of(m: Maker) -> Iterator[tuple[str, str]]:
    w, n = m.one(*WORDS), m.rng.randrange(1000)
    yield (
        "email",
        m.one(
            f"git@github.com:{w}/{w}.git",
            f"{w}@2x.png",
            f"lodash@4.17.{n}",
            f"@{w}.route",
            f"user@{w}",
            f"getty@tty{n % 9}.service",
            "a @ b.c",
        ),
    )
    yield (
        "phone",
        m.one(
            f"2026-11-22 02:{n % 60:02}:06",
            f"build 20261122.{n}",
            f"{m.digits(4)}-{m.digits(4)}",
            f"took {n}.{m.digits(6)} s",
            f"rows {m.digits(3)} {m.digits(3)}",
            f"+{n} -{n} lines",
            f"v{n}.{n}.{m.digits(5)}",
        ),
    )
    visa = m.until(lambda: "4" + m.digits(15), lambda d: luhn_digit(d[:-1]) != d[-1])
    yield (
        "card",
        m.one(
            visa,
            "9" + m.digits(15),
            f"order {visa}",
            f"id={m.digits(20)}",
            f"1{m.digits(15)}",
            f"{m.rng.randrange(10**12, 2 * 10**12)}",
        ),
    )
    yield (
        "iban",
        m.one(
            "DE" + m.digits(19),
            f"GB{m.digits(2)}{m.of(UPPER, 30)}",
            f"ZZ{m.digits(20)}",
            f"SHA{m.digits(20)}",
        ),
    )
    yield (
        "us_ssn",
        m.one(
            f"000-{m.digits(2)}-{m.digits(4)}",
            f"666-{m.digits(2)}-{m.digits(4)}",
            f"{m.rng.randrange(1, 665):03}-00-{m.digits(4)}",
            f"{m.digits(3)}-{m.digits(3)}-{m.digits(3)}",
            f"part {m.digits(4)}-{m.digits(2)}-{m.digits(4)}",
        ),
    )
    yield (
        "uk_nino",
        m.one(f"BG{m.digits(6)}A", f"QQ{m.digits(6)}C", f"AB{m.digits(6)}Z", f"AB{m.digits(5)}C"),
    )
    dni = m.rng.randrange(10**7, 10**8)
    yield "es_dni", f"{dni}{'TRWAGMYFPDXBNJZSQVHLCKE'[(dni + 1) % 23]}"
    cf = it_fiscal(m)
    yield "it_fiscal", cf[:-1] + chr((ord(cf[-1]) - 64) % 26 + 65)
    cpf = br_cpf(m)
    yield "br_cpf", cpf[:-1] + str((int(cpf[-1]) + 1) % 10)
    yield (
        "national",
        m.one(
            f"ref {m.digits(9)}",
            f"count {m.digits(11)}",
            f"job {m.digits(10)}",
            f"{m.digits(3)} {m.digits(3)} {m.digits(3)}",
            f"at {m.rng.randrange(10**9, 2 * 10**9)}",
            f"BSN of {w}",
            f"PESEL {m.digits(5)}",
        ),
    )
    yield (
        "ipv4",
        m.one(
            f"version 1.{n % 256}.3.4",
            f"Chrome/120.0.{n}.{n % 200}",
            f"{n % 256}.{n % 256}.300.1",
            "127.0.0.1",
            "0.0.0.0:8080",
            "255.255.255.0",
            f"1.3.6.1.4.1.{n}",
            f"pkg==1.2.3.{n % 200}",
        ),
    )
    yield (
        "ipv6",
        m.one(
            "std::string",
            f"app::{w}::run",
            f"02:23:{n % 60:02}",
            "::1",
            "a::b",
            f"{n}::{w}",
            "Foo::Bar::baz()",
        ),
    )
    yield (
        "mac",
        m.one(
            ":".join(m.of(HEX, 2) for _ in range(16)),
            "00:00:00:00:00:00",
            f"{m.of(HEX, 2)}:{m.of(HEX, 2)}:{m.of(HEX, 2)}",
            "-".join(m.of(HEX, 4) for _ in range(3)),
        ),
    )
    yield (
        "geo",
        m.one(
            f"loss {m.rng.random():.6f}, {m.rng.random():.6f}",
            f"[{m.rng.random() * 90:.4f}, {m.rng.random() * 90:.4f}, {m.rng.random():.4f}]",
            f"p50 {n}.25, p99 {n}.75",
            f"location of {w}: 12, 13",
        ),
    )
    yield (
        "birth_date",
        m.one(
            "released 2024-03-01",
            "due 12/03/2026",
            f"expires 2030-01-{n % 28 + 1:02}",
            f"{w} since 12 March 2021",
            "born to run",
            "updated: 2026-01-31",
        ),
    )
    yield (
        "name",
        m.one(
            "Mr 1234",
            "DR site failover",
            f"MS {w}",
            "Dr. DROP",
            f"the {w} name",
            f"name={w}",
            "hostname: db-1",
            "Miss rate 3 %",
            f"Sr {n}",
            f'{{"name": "{w}"}}',
        ),
    )
    yield (
        "password",
        m.one(
            "password is required",
            "password: str",
            "password=None",
            "forgot password?",
            "password: ********",
            "pwd=/home/app",
            "PASSWORD=${DB_PASSWORD}",
            "password_policy: strict",
            "passwords must match",
            "pass: 12",
            "password = getpass()",
            "bypass=true",
            '{"password": null}',
            "the password was incorrect",
            "password: {{ vault }}",
        ),
    )
    yield (
        "secret",
        m.one(
            "token is expired",
            f"tokens={n}",
            "max_tokens: 4096",
            "next_page_token=abcdefgh12",
            "token_type=bearer",
            "secret: true",
            "key=value",
            "primary_key: id",
            "api_key: <your-api-key>",
            "API_KEY=xxxxxxxxxxxxxxxx",
            "monkey=banana",
            "public_key: none",
            "partition_key=day",
            "auth: basic",
            "authorization required",
            "the secret garden",
            "cookie policy",
            "foreign_key=station_id",
            "sort_key=name",
            "credentials missing",
        ),
    )
    yield (
        "hash",
        m.one(
            f"sha256 {m.of(HEX, 64)}",
            f"commit {m.of(HEX, 40)}",
            f"id {m.of(HEX, 8)}-{m.of(HEX, 4)}-4{m.of(HEX, 3)}-a{m.of(HEX, 3)}-{m.of(HEX, 12)}",
            f"etag {m.of(HEX, 32)}",
            f"digest {m.of(ALNUM, 43)}=",
            f"run-{m.of(HEX, 12)}",
            f"trace {m.of(HEX, 32)}-{m.of(HEX, 16)}-01",
        ),
    )
    yield (
        "jwt",
        m.one(
            f"eyJ{m.of(ALNUM, 6)}",
            f"{m.of(ALNUM, 20)}.{m.of(ALNUM, 30)}.{m.of(ALNUM, 40)}",
            f"{w}.{w}.{w}",
            "eyJhbGci",
        ),
    )
    yield (
        "private_key",
        m.one(
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
            "openssl genpkey -algorithm ed25519",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + m.of(ALNUM, 43),
        ),
    )
    yield (
        "url",
        m.one(
            f"https://host:8080/{w}?n={n}",
            f"http://[2001:db8::{n % 9 + 1}]/".replace("2001:db8::", "::ffff:")[:10],
            "postgres://db/x",
            f"https://x.example/{w}/@{w}",
            "ftp://$USER:$PASS@host",
            f"file:///tmp/{w}",
        ),
    )
    yield (
        "keys",
        m.one(
            f"ghp_{m.of(ALNUM, 12)}",
            "AKIA" + m.of(UPPER, 8),
            f"sk-{w}-{w}",
            "xoxb-",
            f"AIza{m.of(ALNUM, 10)}",
            f"glpat-{w}",
            f"hf_{w}",
            f"sk_live_{'x' * 24}",
            f"key-{w}",
            f"SG.{w}.{w}",
            f"pat.{w}.{w}",
            f"npm_{w}_install",
            f"re_{w}",
            f"dapi{w}",
            f"AC{m.of(UPPER, 10)}",
            f"live_{w}",
            "figd_",
            f"sq0atp-{w}",
        ),
    )
    yield (
        "log",
        f"2026-11-22T02:{n % 60:02}:06.{m.digits(6)}Z INFO [{w}-{n}] app.{w}.{w}: {w} {w} in {n}.{m.digits(3)} ms (id={m.of(HEX, 16)})",
    )
    yield (
        "log",
        f'2026-11-22 02:23:06,{n:03} "GET /api/v1/{w}/{m.digits(5)}?page={n}&sort=asc HTTP/1.1" 200 {m.digits(4)} "Mozilla/5.0 (X11; Linux x86_64)"',
    )
    yield "log", f"/usr/lib/python3.11/site-packages/{w}/{w}.py:{n}: KeyError: '{w}'"
    yield (
        "log",
        json.dumps(
            {
                "event_type": "task_completed",
                "timestamp": 1789412345.5 + n,
                "seq": n,
                "run": f"r-{m.of(HEX, 12)}",
                "outcome": "ok",
                "tokens": n,
            }
        ),
    )


def negatives(seed: int, each: int) -> Iterator[Sample]:
    """*each* rounds of what must stay as it is; some in the midst of other words."""
    m = Maker(seed)
    for _ in range(each):
        for kind, text in _negatives_of(m):
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
