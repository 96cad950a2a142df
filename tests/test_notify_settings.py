"""A wrong `notify:` is refused when it is read, with its key and what to do, and no message repeats what might be a secret."""

from __future__ import annotations

import io
import ipaddress
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.runtime.cli import notify as commands
from assent.runtime.cli.command import Door
from assent.runtime.ledger import outbox
from assent.runtime.notify import post, slack
from assent.runtime.notify.channels import Channels, NotifySettings, check_roles, read_notify, warnings
from assent.runtime.notify.sender import Message
from assent.runtime.notify.slack import blocks
from assent.runtime.notify.webhook import signature, verify_signature
from assent.runtime.testing import FrozenClock
from assent.schemas.errors import InvalidConfiguration, NotFound
from assent.schemas.notice import Notice

HOOK = {"kind": "webhook", "url": "https://hooks.example.org/assent", "secret_env": "S"}
MAIL = {"kind": "email", "host": "smtp.example.org", "from": "a@example.org", "to": ["b@example.org"]}
BOT = {"kind": "slack", "token_env": "T", "channel": "C1"}
SECRET = "xoxb-1-very-secret"


def channel(**given: Any) -> dict[str, Any]:
    return {"channels": {"x": given}}


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("a channel that is not there", {"channels": {"ops": BOT}, "routes": [{"events": ["*"], "channels": ["opps"]}]}, "notify.routes.0.channels", "`ops`"),
    ("an event that is not there", {"channels": {"x": BOT}, "routes": [{"events": ["request.open"], "channels": ["x"]}]}, "notify.routes.0.events", "request.opened"),
    ("a route without events", {"channels": {"x": BOT}, "routes": [{"events": [], "channels": ["x"]}]}, "notify.routes.0.events", ""),
    ("a level that is not there", {"channels": {"x": BOT}, "routes": [{"events": ["*"], "risk": ["SEVERE"], "channels": ["x"]}]}, "notify.routes.0.risk.0", ""),
    ("a kind that is not there", channel(kind="pager"), "notify.channels.x", ""),
    ("a private address", channel(**HOOK | {"url": "https://10.0.0.8/x"}), "notify.channels.x", "allow_private"),
    ("loopback", channel(**HOOK | {"url": "https://localhost/x"}), "notify.channels.x", "allow_private"),
    ("http", channel(**HOOK | {"url": "http://hooks.example.org/x"}), "notify.channels.x", "allow_private"),
    ("another scheme", channel(**HOOK | {"url": "file:///etc/passwd"}), "notify.channels.x", "https://"),
    ("a password in an address", channel(**HOOK | {"url": f"https://u:{SECRET}@hooks.example.org/x"}), "notify.channels.x", "https://"),
    ("a webhook that is not signed", channel(kind="webhook", url=HOOK["url"]), "notify.channels.x", "secret"),
    ("a webhook without an address", channel(kind="webhook", secret_env="S"), "notify.channels.x", "address"),
    ("a secret in the file", channel(kind="slack", token=SECRET, channel="C1"), "notify.channels.x.token", "token_env"),
    ("a secret in the place of a name", channel(**BOT | {"token_env": SECRET}), "notify.channels.x.token_env", "environment"),
    ("a bot without a channel", channel(kind="slack", token_env="T"), "notify.channels.x", "channel"),
    ("a bot and a webhook", channel(**BOT | {"webhook_url_env": "W"}), "notify.channels.x", "webhook"),
    ("Slack inside", channel(**BOT | {"base_url": "http://169.254.169.254/"}), "notify.channels.x", "allow_private"),
    ("nobody to write to", channel(**MAIL | {"to": []}), "notify.channels.x", "to"),
    ("a line feed in an address", channel(**MAIL | {"to": ["b@example.org\r\nBcc: c@example.org"]}), "notify.channels.x.to.0", "ops@example.org"),
    ("a line feed in the sender", channel(**MAIL | {"from": "a@example.org\nX: y"}), "notify.channels.x.from", "ops@example.org"),
    ("two addresses in one", channel(**MAIL | {"to": ["b@example.org, c@example.org"]}), "notify.channels.x.to.0", "ops@example.org"),
    ("a password in clear", channel(**MAIL | {"security": "plain", "user_env": "U", "password_env": "P"}), "notify.channels.x", "starttls"),
    ("a user without a password", channel(**MAIL | {"user_env": "U"}), "notify.channels.x", "password"),
    ("no time at all", channel(kind="terminal", time=0), "notify.channels.x.time", ""),
    ("a time without end", channel(kind="terminal", time="1 day"), "notify.channels.x.time", ""),
    ("a misspelt key", {"chanels": {}}, "notify.chanels", ""),
    ("no mapping", {"channels": ["x"]}, "notify.channels", ""),
    ("a link that is no address", {"link": "javascript:{request}"}, "notify.link", "https://"),
    ("a link with other braces", {"link": "https://a.example.org/{request}/{token}"}, "notify.link", "https://"),
    ("a link with a password", {"link": "https://u:p@a.example.org/{request}"}, "notify.link", "https://"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "key", "remedy"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_setting_is_refused_with_its_key_and_a_remedy(written: dict[str, Any], key: str, remedy: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read_notify(written)
    error = caught.value
    assert error.fields["key"] == key and error.message.startswith(key) and error.hint
    assert remedy in error.hint
    assert SECRET not in json.dumps(error.data()) and error.__cause__ is None and error.__context__ is None


def test_what_the_documentation_shows_is_read() -> None:
    import textwrap

    import yaml

    from assent.runtime.notify import channels

    written = textwrap.dedent((channels.__doc__ or "").split("\n\n")[1])
    found = read_notify(yaml.safe_load(written)["notify"])
    assert set(found.channels) == {"ops", "mail", "siem", "here"} and len(found.routes) == 2
    assert read_notify(None) == read_notify({}) == NotifySettings() and read_notify(found) is found


def test_a_role_that_nobody_could_hold_is_refused() -> None:
    found = read_notify({"channels": {"x": BOT}, "routes": [{"events": ["*"], "channels": ["x"], "roles": ["leed"]}]})
    check_roles(found, ["leed"])
    with pytest.raises(InvalidConfiguration, match=r"notify\.routes\.0\.roles: no role 'leed'") as caught:
        check_roles(found, ["developer", "lead"])
    assert "`lead`" in caught.value.hint


def test_what_only_the_surroundings_can_tell_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_notify({"channels": {"x": BOT, "y": HOOK, "z": {"kind": "terminal"}}, "routes": [{"events": ["*"], "channels": ["x", "y"]}]})
    assert [what for what, _ in warnings(Channels(found, {"T": "t", "S": "s"}))] == ["notify.channels.z: no route leads to it"]
    said = [what for what, _ in warnings(Channels(found, {"T": " "}))]
    assert said[:2] == ["notify.channels.x: the environment variable T is not set", "notify.channels.y: the environment variable S is not set"]
    monkeypatch.setattr("assent.runtime.notify.channels.is_installed", lambda: False)
    assert any("slack-sdk is not installed" in what for what, _ in warnings(Channels(found, {"T": "t", "S": "s"})))
    assert slack.is_installed()
    assert set(Channels(found, {"T": "t", "S": "s", "HOME": "/root"}).secrets) == {"t", "s"}


# --- addresses that lead inside -------------------------------------------------------------------------------------------------------

INSIDE = ("127.0.0.1", "10.1.2.3", "172.16.9.9", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")
NAMES = ("localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata.google.internal", "intranet", "printer.local", "ip6-localhost", "kubernetes.default.svc.cluster.local")


def spellings(text: str) -> list[str]:
    address = ipaddress.IPv4Address(text)
    a, b, c, d = address.packed
    number = int(address)
    return [
        text, f"{text}.", str(number), hex(number), f"0{number:o}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"{a}.{(b << 16) + (c << 8) + d}", f"{a}.{b}.{(c << 8) + d}", f"[::ffff:{text}]", f"[::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]", f"[64:ff9b::{text}]",
        f"[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]", f"[::{text}]", f"{text}.nip.io", f"{text.replace('.', '-')}.sslip.io",
    ]  # fmt: skip


def test_no_spelling_of_an_inside_address_is_taken() -> None:
    hosts = [one for text in INSIDE for one in spellings(text)] + [*NAMES, "[::1]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::]"]
    urls = [f"https://{host}{port}/hook" for host in hosts for port in ("", ":8443")]
    assert len(urls) >= 200
    taken = [url for url in urls if not post.complaint(url, allow_private=False)]
    assert taken == []
    assert not post.complaint("https://hooks.example.org:8443/a?b=c", allow_private=False)
    assert not post.complaint("http://10.1.2.3/a", allow_private=True)


@pytest.mark.parametrize("url", ["", "https://", "https:///x", "https://a b/", "https://a\\b/", "https://a\n/", "https://é.example/", "https://a:99999/", "https://[::1", "gopher://a/"])
def test_what_is_no_web_address_is_refused_even_where_private_ones_are_meant(url: str) -> None:
    assert post.complaint(url, allow_private=True)


# --- the signature --------------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_any_change_of_body_time_or_signature_is_seen(body: bytes, place: int, byte: int) -> None:
    now = FrozenClock()()
    timestamp = str(int(now.timestamp()))
    signed = signature("secret", timestamp, body)
    assert verify_signature("secret", timestamp, body, signed, now)
    changed = body[:place] + bytes([byte]) + body[place + 1 :]
    assert verify_signature("secret", timestamp, changed, signed, now) is (changed == body)
    assert not verify_signature("secret", timestamp, body + b" ", signed, now)
    assert not verify_signature("secret", str(int(timestamp) + 1), body, signed, now)
    at = place % len(signed)
    other = signed[:at] + chr(byte) + signed[at + 1 :]
    assert verify_signature("secret", timestamp, body, other, now) is (other == signed)


def test_a_signature_is_good_for_five_minutes_either_way() -> None:
    now = FrozenClock()()
    timestamp = str(int(now.timestamp()))
    signed = signature("secret", timestamp, b"{}")
    for shift, is_good in ((-301, False), (-300, True), (0, True), (300, True), (301, False)):
        assert verify_signature("secret", timestamp, b"{}", signed, now + timedelta(seconds=shift)) is is_good, shift


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "+1767603600", " 1767603600", "1767603600.0", "١٢٣", "9" * 400, "nan"])
def test_an_odd_timestamp_is_refused_without_an_error(timestamp: str) -> None:
    assert not verify_signature("secret", timestamp, b"", signature("secret", timestamp, b""), FrozenClock()())


def test_an_odd_signature_or_an_empty_secret_is_refused_without_an_error() -> None:
    now = FrozenClock()()
    timestamp = str(int(now.timestamp()))
    for odd in ("", "v1=", "v1=é", "v0=" + "0" * 64, "\udcff", signature("secret", timestamp, b"").upper(), signature("secret", timestamp, b"")[3:]):
        assert not verify_signature("secret", timestamp, b"", odd, now)
    assert not verify_signature("", timestamp, b"", signature("", timestamp, b""), now)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("", 0), ("-5", 0), ("soon", 0), ("1.5", 0), ("9" * 50, 10**8), ("Mon, 05 Jan 2026 09:01:00 GMT", 60), ("Mon, 05 Jan 2026 08:00:00 GMT", 0), ("٣", 0)],
)
def test_how_long_an_answer_asks_to_wait(text: str, seconds: float) -> None:
    assert post.retry_after_s({"retry-after": text}, FrozenClock()()) == seconds


@given(st.lists(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=4000), max_size=60))
@settings(max_examples=60, deadline=None)
def test_slack_blocks_fit_and_count_what_they_leave_out(lines: list[str]) -> None:
    now = FrozenClock()()
    found = list(blocks(Message("ntc_" + "0" * 24, "s", tuple(lines), {}, now, now)))
    assert len(found) <= 11 and all(1 <= len(block["text"]["text"]) <= 3000 for block in found)
    shown = "".join(block["text"]["text"] for block in found)
    assert all(line[:2900] in shown for line in lines) or "more characters are not shown here" in shown


# --- the commands ---------------------------------------------------------------------------------------------------------------------


class Home:
    """A door of the command line that opens one runtime."""

    def __init__(self, runtime: Any) -> None:
        self._runtime, self.as_json = runtime, False

    def runtime(self) -> Any:
        return self._runtime


def test_the_commands_try_list_and_try_again(door: Any, clock: FrozenClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = door("dora", notify={"channels": {"here": {"kind": "terminal", "bell": False}}})
    home: Any = Home(runtime)
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    assert commands.test(home, "here") == 0
    assert "a test of this channel" in screen.getvalue() and "sent" in capsys.readouterr().out
    notices = [Notice(id=f"ntc_{n:024x}", event="run.failed", run_id="run_1", channels=(where,)) for n, where in enumerate(("here", "gone"))]
    with runtime.ledger.store.write() as c:
        assert outbox.enqueue(c, notices, clock()) == 2 and outbox.enqueue(c, notices, clock()) == 0
    assert commands.listing(home) == 0
    assert "2 waiting (0 after a failure), 0 given up" in capsys.readouterr().out
    assert commands.retry(home) == 1
    assert "1 sent, 1 failed for now" in capsys.readouterr().out
    assert "run_1" in screen.getvalue()
    home.as_json = True
    assert commands.listing(home) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"waiting": 1, "failing": 1, "sent": 1, "given_up": 0} and found["notices"][0]["channel"] == "gone"
    with runtime.ledger.store.write() as c:
        assert outbox.prune(c, clock.advance(days=1)) == 1
        assert outbox.counts(c) == {"waiting": 1, "failing": 1, "sent": 0, "given_up": 0}


def test_without_channels_the_commands_say_what_to_add(door: Any) -> None:
    home: Any = Home(door("dora"))
    with pytest.raises(NotFound) as caught:
        commands.test(home, "here")
    assert "notify" in caught.value.hint
    with pytest.raises(NotFound):
        commands.retry(home)


def test_the_sub_application_has_its_three_commands() -> None:
    from typer.testing import CliRunner

    found = CliRunner().invoke(commands.app, ["--help"])
    assert found.exit_code == 0 and all(name in found.output for name in ("test", "list", "retry"))
    assert isinstance(Door(), Door)
