"""What only looks like a value, and must stay."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.redaction.values import (
    ALNUM,
    HEX,
    UPPER,
    WORDS,
    Maker,
    br_cpf,
    it_fiscal,
    luhn_digit,
)


def lookalikes(m: Maker) -> Iterator[tuple[str, str]]:
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
