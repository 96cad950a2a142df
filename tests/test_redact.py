"""Secrets do not leave: formats, names, places, known values; look-alikes stay; a second pass changes nothing; time is linear."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import time
from importlib import import_module
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.redact import Span, find_secrets, marker, redact
from assent.policies.redact_names import Tier, tier_of
from assent.policies.redact_pii import redact_pii
from assent.policies.redact_table import LEAST, table

RANDOM = random.Random(20)
ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"


def some(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choices(alphabet, k=length))


TOKENS = {
    "aws-access-key": "AKIA" + some(string.ascii_uppercase + "234567", 16),
    "github-token": "ghp_" + some(ALNUM, 36),
    "gitlab-token": "glpat-" + some(ALNUM, 20),
    "slack-token": "xoxb-" + some("123456789", 12) + "-" + some("123456789", 12) + "-" + some(ALNUM, 24),
    "slack-webhook": "https://hooks.slack.com/services/T" + some(string.ascii_uppercase, 8) + "/B" + some(string.ascii_uppercase, 10) + "/" + some(ALNUM, 24),
    "stripe-key": "sk_live_" + some(ALNUM, 24),
    "twilio-key": "SK" + some(HEX, 32),
    "sendgrid-key": "SG." + some(ALNUM, 22) + "." + some(ALNUM, 43),
    "mailgun-key": "key-" + some(HEX, 32),
    "npm-token": "npm_" + some(ALNUM, 36),
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + some(ALNUM, 120),
    "openai-key": "sk-proj-" + some(ALNUM, 80),
    "anthropic-key": "sk-ant-api03-" + some(ALNUM, 93) + "AA",
    "huggingface-token": "hf_" + some(string.ascii_letters, 34),
    "telegram-token": some("123456789", 10) + ":AA" + some(ALNUM, 33),
    "discord-token": "M" + some(ALNUM, 25) + "." + some(ALNUM, 6) + "." + some(ALNUM, 38),
    "shopify-token": "shpat_" + some(HEX, 32),
    "databricks-token": "dapi" + some(HEX, 32),
    "digitalocean-token": "dop_v1_" + some(HEX, 64),
    "google-api-key": "AIza" + some(ALNUM, 35),
    "azure-client-secret": some(ALNUM, 3) + "8Q~" + some(ALNUM, 34),
    "newrelic-key": "NRAK-" + some(string.ascii_uppercase, 27),
    "sentry-token": "sntrys_" + some(ALNUM, 120),
    "age-key": "AGE-SECRET-KEY-1" + some("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "vault-token": "hvs." + some(ALNUM, 90),
    "password-hash": "$2b$12$" + some(ALNUM, 53),
    "mailchimp-key": some(HEX, 32) + "-us19",
}
WORD = some(ALNUM, 11) + "9Zq"
PLACES = [
    "API_KEY={}", "export DB_PASSWORD='{}'", 'api_key = "{}"', '{{"token": "{}"}}', "--client-secret={}", "--client-secret {}", "password: {} # rotate",
    "docker run -e APP_SECRET={} app", "<password>{}</password>", '<add key="ApiKey" value="{}"/>', "- name: DB_PASSWORD\n  value: {}",
    '{{"name": "APP_SECRET", "value": "{}"}}', 'os.environ["SMTP_PASSWORD"] = "{}"', "https://h/x?access_token={}&page=2", "Server=db;Password={};Encrypt=true",
    "AccountKey={}==", '"{{\\"apiKey\\": \\"{}\\"}}"', "connect(password='{}', host=h)", 'token: str = "{}"', "ENV API_TOKEN {}", "%0Atoken%3D{}",
    "postgres://app:{}@db/x", "redis://:{}@cache:6379", "app:{}@tcp(db:3306)/shop", "Authorization: Bearer {}", "Authorization: token {}", "-H 'X-Api-Key: {}'",
    "Cookie: theme=dark; sessionid={}", "Set-Cookie: sid={}; HttpOnly", "curl -u admin:{} https://h", "mysql -u root -p{} shop", "sshpass -p {} ssh u@h",
    "machine h login u password {}", "db.internal:5432:app:bob:{}", "redis-cli -a {} ping", "openssl rsa -passin pass:{} -in k", "echo {} | docker login --password-stdin",
    "CREATE USER bob IDENTIFIED BY '{}'", "kind: Secret\ndata:\n  password: {}", "//registry.npmjs.org/:_authToken={}", "log: \\npassword={}\\nnext", "the password is {}",
    "${{DB_PASSWORD:-{}}}", "aws configure set aws_secret_access_key {}", "config_token:\n  {}".replace(":\n  ", ": "),
]  # fmt: skip
LOOKALIKES = [
    "commit 37f12d5b5d1e72708afa708f9d4eb11d21b6f959", "request_id=8185fda4-cdfd-47df-a497-7828167da04a", "password = None", "token_ttl = 3600", "max_tokens: 100000",
    "secret_name: my-app-secret", "api_key_header = 'X-API-Key'", "next_token = tokens[i + 1]", "Authorization: Bearer <token>", "Authorization: Bearer $TOKEN",
    "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}", "password: ${DB_PASSWORD}", 'password = os.environ["DB_PASSWORD"]', "password=getpass.getpass()", "token: string;",
    "password: Optional[str] = None", "DB_PASSWORD=changeme", "api_key: your-api-key-here", "token=xxxxxxxxxxxxxxxxxxxx", "password: '********'", "secret = '<secret>'",
    "https://user@example.com/x", "postgres://localhost/app", "postgres://user:password@localhost/app", "https://example.com:8080/a@b", "ssh -p 2222 host", "docker run -p 8080:80 app",
    "mysql -u root -p shop", "mkdir -p build", "curl -u user https://h", "curl -u $USER:$PASS https://h", "use `--password-stdin` instead", "the token is invalid",
    "cache_key=3f786850e387550fdab836ed7e6dc881de23001b", "Idempotency-Key: 8185fda4-cdfd-47df-a497-7828167da04a", "primary_key=True", "sort_key: created_at",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE4Z4zPSp5BGF/W2KTnIeHmSMY70NxL/rJH6ltWfXXPL user@host", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ0n4\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "if 'BEGIN PRIVATE KEY' in text:", "$2b$12$ is the bcrypt prefix", "Cookie: theme=dark; lang=en", "PWD=/srv/app", "token_file: /run/secrets/token", "password: !Ref DbPassword",
    "password: op://vault/db/password", "fe80::5250:7e34:4c1e:e255", "root:x:0:0:root:/root:/bin/bash", "gpg --recv-keys CC68F5A3106FF448322E48ED27F5E38D5B0A215F",
    'headers["Authorization"] = f"Bearer {token}"', "password: Passwort", '"password": "Password must have 8 characters"', "key: value", "author: Jane Doe", "keyboard: us-intl-2",
    "--hash=sha256:dec4940e087b245a3578dd790c57e32c7ab99182cef693836931cf4ca88fa1a9", "api_key = config.api_key", "password = self.password2", "return token(user_id, 12345678)",
]  # fmt: skip


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("around", ["{}", "x={}", 'f("{}")', "see {}, then", "a\\n{}\\n", "?q=1%3D{}", "({})", "<b>{}</b>"])
def test_a_token_of_a_known_format_is_hidden_without_any_name(kind: str, around: str) -> None:
    hidden = redact(around.format(TOKENS[kind]))
    assert TOKENS[kind] not in hidden
    assert hidden == around.format(marker(kind)) or "[redacted:" in hidden


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_hidden_by_its_place_and_its_surroundings_stay(place: str) -> None:
    text = place.format(WORD)
    hidden = redact(text)
    assert WORD not in hidden and "[redacted:" in hidden
    left, right = text.split(WORD)
    assert hidden.startswith(left) and hidden.endswith(right.removeprefix("=="))


@pytest.mark.parametrize("text", LOOKALIKES)
def test_a_lookalike_stays_readable(text: str) -> None:
    assert redact(text) is text


@pytest.mark.parametrize("label", ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
@pytest.mark.parametrize("line", ["\n", "\\n", "\r\n"])
def test_a_private_key_is_hidden_from_first_to_last_dash(label: str, line: str) -> None:
    body = line.join(some(ALNUM, 64) for _ in range(6))
    key = f"-----BEGIN {label}-----{line}{body}{line}-----END {label}-----"
    assert redact(f"before {key} after") == f"before {marker('private-key')} after"
    cut = redact(f"before {key[: -len(label) - 14]}")
    assert not any(part in cut for part in body.split(line))


def test_a_base64_private_key_is_hidden_and_a_base64_certificate_stays() -> None:
    key = base64.b64encode(b"-----BEGIN RSA PRIVATE KEY-----\n" + some(ALNUM, 400).encode()).decode()
    certificate = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + some(ALNUM, 400).encode()).decode()
    assert key[20:80] not in redact(f"client: {key}")
    assert redact(f"client: {certificate}") == f"client: {certificate}"


@pytest.mark.parametrize("value", ["hunter two", "pa\"ss'w\\rd", "zwölf-Äpfel", "a&b=c d%e", "line one of it\nline two of it!", "{not}[redacted:x]"])
def test_a_known_value_is_hidden_in_every_spelling(value: str) -> None:
    raw = value.encode()
    spellings = [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], quote(value), quote(value, safe=""), raw.hex(), raw.hex().upper(), value[::-1], repr(value)[1:-1]]
    for spelling in spellings:
        assert spelling not in redact(f"say {spelling}.", known=[value])


@given(st.text(st.characters(codec="utf-8"), min_size=6, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_a_known_value_is_hidden_inside_base64_at_every_alignment(value: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + value.encode() + after).decode()
    assert encoded not in redact(encoded, known=[value])
    hidden = redact(f"x {encoded} y", known=[value])
    left = max(hidden.split("[redacted:"), key=len)
    assert len(left) < len(f"x {encoded} y")


def test_a_colon_and_a_dash_outside_of_braces_are_no_default() -> None:
    assert redact(f"password:-{WORD}") == f"password:{marker('password')}"
    assert redact(f"${{PASSWORD:-{WORD}}}") == f"${{PASSWORD:-{marker('password')}}}"


def test_short_known_values_hide_nothing() -> None:
    assert redact("a cat sat on a mat", known=["", "a", "cat", "on a "]) == "a cat sat on a mat"


@pytest.mark.parametrize("secret", ["hunter-two", "a" * 12, TOKENS["github-token"].lower().replace("_", "-")[:30]])
def test_a_secret_dressed_up_as_a_marker_is_still_hidden(secret: str) -> None:
    assert secret not in redact(f"x [redacted:{secret}] y", known=[secret])
    assert redact(f"x [redacted:{TOKENS['github-token']}] y") != f"x [redacted:{TOKENS['github-token']}] y"


def test_spans_say_where_and_what() -> None:
    text = f"x={TOKENS['github-token']} https://u:{WORD}@h/"
    token, word = find_secrets(text)
    assert token == Span(2, 2 + len(TOKENS["github-token"]), "github-token")
    assert (text[word.start : word.end], word.kind) == (WORD, "url-password")


PIECES = [
    "password", "token", "key", "api_key", "Authorization: ", "Bearer ", "Basic ", "://", "user:", "pw@", "host", "=", ": ", ":", "-", "is ", " ", '"', "'", '\\"', "\\", "\n", "\\n", "[redacted:password]",
    "[redacted:", "[redacted:jwt]", "]", "eyJhbGciOiJIUzI1NiJ9", ".", TOKENS["github-token"], TOKENS["aws-access-key"], "x9Kd82mQ", "hunter2", "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi", "Cookie: ", "sid=", "; ", "mysql -u root -p", "curl -u ", "a1b2c3d4e5f6g7h8", "${", "}", "$X", "(", ")", "<", ">", ",",
    "|", "--", "set ", "machine h login u ", "&", "?", "kind: Secret\n", "data:\n", "  a: ", "Zm9vYmFy", "é", "%3D", "&quot;", "echo ", " | docker login --password-stdin", "db:5432:a:b:", "value", "s3cretKNOWN",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=18).map("".join) | st.text(max_size=80)


@settings(max_examples=500, deadline=None)
@given(HOSTILE)
def test_a_second_pass_changes_nothing(text: str) -> None:
    once = redact(text, known=["s3cretKNOWN"])
    assert redact(once, known=["s3cretKNOWN"]) == once
    assert "s3cretKNOWN" not in once


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
def test_spans_are_in_order_apart_and_inside_the_text(text: str) -> None:
    spans = find_secrets(text, known=["s3cretKNOWN"])
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert bool(spans) == (redact(text, known=["s3cretKNOWN"]) != text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from(sorted(TOKENS)), st.text(max_size=40))
def test_a_prefixed_token_is_hidden_between_any_blanks(before: str, kind: str, after: str) -> None:
    assert TOKENS[kind] not in redact(f"{before} {TOKENS[kind]} {after}")


@pytest.mark.parametrize("name, tier", [
    ("password", Tier.PASSWORD), ("dbPassword", Tier.PASSWORD), ("spring.datasource.password", Tier.PASSWORD), ("npassword", Tier.PASSWORD), ("API_KEY", Tier.SECRET),
    ("X-Api-Key", Tier.SECRET), ("accessToken", Tier.SECRET), ("CLIENT_SECRET", Tier.SECRET), ("GEM_KEY", Tier.SECRET), ("key", Tier.WEAK), ("credentials", Tier.WEAK),
    ("max_tokens", Tier.NONE), ("next_token", Tier.NONE), ("primary_key", Tier.NONE), ("public_key", Tier.NONE), ("token_ttl", Tier.NONE), ("secret_name", Tier.NONE),
    ("monkey", Tier.NONE), ("keyboard", Tier.NONE), ("author", Tier.NONE), ("bypass", Tier.NONE), ("tokenizer", Tier.NONE), ("cacheKey", Tier.NONE), ("", Tier.NONE), ("_-.", Tier.NONE),
])  # fmt: skip
def test_names_are_read_word_by_word(name: str, tier: Tier) -> None:
    assert tier_of(name) is tier


def test_the_table_has_a_version_and_a_digest_and_every_row_can_match_only_with_its_word() -> None:
    shipped = table()
    assert shipped.version >= 1 and len(shipped.digest) == 64
    assert len({f.kind for f in shipped.formats}) > 90
    for form in shipped.formats:
        assert form.words and not form.pattern.search("")
        assert all(word.split() == [word] for word in form.words)


def test_no_format_holds_a_blank_or_is_shorter_than_the_least_so_parts_between_blanks_can_be_asked() -> None:
    lengths = import_module("re._parser")
    for form in table().formats:
        expression = form.expression.replace(r"\\", "/")
        classes, outside = re.findall(r"\[[^\]]*\]", expression), re.sub(r"\[[^\]]*\]", "/", expression)
        assert not re.search(r"\s|\\[sSDW]|(?<!\\)\.", outside), form
        assert all(one.startswith(r"[^\s") or not re.search(r"\s|\\[sSDW]|^\[\^", one) for one in classes), form
        assert lengths.parse(form.expression).getwidth()[0] >= LEAST, form


REPEATS = [
    "a", "=", '"', "-----BEGIN", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJ.", "://", "://a:a@", "\"'`", "key=", 'key="', 'key=\\"', "pwd=a1b2c3 ", "<key ", "${KEY:-", "sk-", "ghp_", "mysql ",
    "curl -u a:b1c2d3 ", "cookie: a=b;", "authorization: bearer ", "echo a | ", "kind: Secret\ndata:\n a: b\n", "[redacted:password]", "LS0tLS1CRUdJTi", "a:1234:b:c:d\n", 'token """', "\u00e9", "$6$a$",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATS, ids=ascii)
def test_time_grows_with_the_length_and_not_faster(piece: str) -> None:
    def spent(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.perf_counter()
        redact(text)
        return time.perf_counter() - start

    spent(1024)
    for _ in range(3):  # a busy machine may disturb one pair of measurements, not three
        small, large = max(spent(256 * 1024), 0.02), spent(1024 * 1024)
        if large / small < 8:
            return
    pytest.fail(f"four times the text took {large / small:.1f} times as long ({small:.2f} s, {large:.2f} s)")


@pytest.mark.parametrize("text, personal", [
    ("paid with 4111 1111 1111 1111", "4111 1111 1111 1111"), ("call +1 (450) 850-8987", "850-8987"), ("mail a.b@corp.example.com now", "a.b@corp.example.com"),
    ("IBAN DE89370400440532013000", "DE89370400440532013000"), ("SSN: 457-90-2073", "457-90-2073"),
])  # fmt: skip
def test_personal_data_is_hidden_only_by_its_own_switch(text: str, personal: str) -> None:
    assert redact(text) == text
    hidden = redact_pii(text)
    assert personal not in hidden and redact_pii(hidden) == hidden


@pytest.mark.parametrize("text", ["order 4111111111111112", "2026-01-02T03:04:05Z", "1131958723", "10.0.0.1:5432", "v1.2.3-4567", "https://user@example.com/x", "commit 37f12d5b5d1e72708afa"])
def test_numbers_that_are_not_personal_stay(text: str) -> None:
    assert redact_pii(text) == text
