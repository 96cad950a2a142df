"""Every kind of channel against a real local server, under one contract.

The servers speak SMTP, Slack's two interfaces and plain HTTP, and fail as told: busy, refusing, hanging, dripping, redirecting, down. The clock of
the ledger is frozen; what takes real time is a time-out of a fraction of a second.
"""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from assent.policies import routing
from assent.policies.backoff import Backoff
from assent.runtime.ledger import outbox
from assent.runtime.notify import deliver
from assent.runtime.notify.channels import Channels, read_notify
from assent.runtime.notify.deliver import Counts
from assent.runtime.notify.email import EmailSettings, letter
from assent.runtime.notify.sender import Message
from assent.runtime.notify.webhook import verify_signature
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, recorded
from assent.schemas.errors import NotFound
from assent.schemas.notice import Notice, Outcome, Posted

KNOWN = "correct-horse-battery-staple"
GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
SECRETS = {"SLACK_TOKEN": "xoxb-" + "111111111111-222222222222-abcdefABCDEF", "HOOK_SECRET": "hook-secret-93f1", "SMTP_USER": "mailer", "SMTP_PASSWORD": "smtp-pass-77e2"}
QUICK = 0.4


class Rig:
    """One kind of channel and its server. `mode` is how the server behaves: ok, busy, refuses, hangs, down."""

    modes: ClassVar[frozenset[str]] = frozenset({"ok", "busy", "refuses", "hangs", "down"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mode = "ok"
        self.environ = dict(SECRETS)
        self.ids: list[str] = []
        """Event ids of what was accepted, in order."""
        self.texts: list[str] = []
        """Everything that arrived, accepted or not, decoded."""
        self.released = threading.Event()

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def stop(self) -> None:
        self.released.set()


class HttpRig(Rig):
    retry_after = "7"
    redirect = 302

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        rig = self
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                rig.seen.append((self.path, headers, body))
                rig.texts.append(f"{self.path} {headers} {body.decode()}" + json.dumps(json.loads(body or b"null"), ensure_ascii=False))
                if rig.mode == "hangs":
                    rig.released.wait(20)
                    self.close_connection = True
                    return
                if rig.mode == "drips":
                    self.drip()
                    return
                if rig.mode == "ok":
                    rig.ids.append(rig.id_of(headers, json.loads(body)))
                status, given, text = rig.answer()
                self.send_response(status)
                for name, value in given.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do

            def drip(self) -> None:
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                    while not rig.released.wait(0.05):
                        self.wfile.write(b".")
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.closed = closed_port()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.closed if self.mode == 'down' else self.port}"

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        return {
            "ok": (200, {}, b"ok"), "busy": (429, {"Retry-After": self.retry_after}, b"slow down"), "broken": (500, {}, b"oops " + KNOWN.encode()),
            "refuses": (404, {}, b"no such hook"), "redirects": (self.redirect, {"Location": f"http://127.0.0.1:{self.port}/elsewhere"}, b""),
        }[self.mode]  # fmt: skip

    def id_of(self, headers: dict[str, str], body: Any) -> str:
        return headers["x-assent-event-id"]

    def stop(self) -> None:
        super().stop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class WebhookRig(HttpRig):
    def settings(self) -> dict[str, Any]:
        return {"kind": "webhook", "url": f"{self.root}/hook", "secret_env": "HOOK_SECRET", "allow_private": True, "time": QUICK}


class SlackBotRig(HttpRig):
    def settings(self) -> dict[str, Any]:
        return {"kind": "slack", "token_env": "SLACK_TOKEN", "channel": "C0123456789", "base_url": f"{self.root}/api/", "allow_private": True, "time": QUICK}

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        said = {
            "ok": {"ok": True, "ts": "1.2", "channel": "C0123456789"}, "refuses": {"ok": False, "error": "invalid_auth"},
            "busy": {"ok": False, "error": "ratelimited"}, "odd": {"ok": False, "error": "internal_error"},
        }.get(self.mode)  # fmt: skip
        if said is None:
            return super().answer()
        busy = self.mode == "busy"
        return 429 if busy else 200, {"Content-Type": "application/json", **({"Retry-After": self.retry_after} if busy else {})}, json.dumps(said).encode()

    def id_of(self, headers: dict[str, str], body: Any) -> str:
        return id_in(body["blocks"][0]["text"]["text"])


class SlackWebhookRig(HttpRig):
    def settings(self) -> dict[str, Any]:
        self.environ["SLACK_HOOK"] = f"{self.root}/services/T0/B0/{'x' * 24}"
        return {"kind": "slack", "webhook_url_env": "SLACK_HOOK", "allow_private": True, "time": QUICK}

    id_of = SlackBotRig.id_of


class SmtpRig(Rig):
    """A mail server that takes one command a line, with STARTTLS and AUTH where it has a certificate."""

    security = "plain"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mails: list[tuple[list[str], bytes]] = []
        self.refused_address = ""
        self.busy_code = 451
        self._context: ssl.SSLContext | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        self.closed = closed_port()

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "email", "host": "127.0.0.1", "port": self.closed if self.mode == "down" else self.port, "security": self.security,
            "from": "assent@example.org", "to": ["ops@example.org"], "addresses": {"dora": "dora@example.org"}, "time": QUICK,
        }  # fmt: skip

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._guarded, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _guarded(self, connection: socket.socket) -> None:
        try:
            self._talk(connection)
        except OSError:
            pass
        finally:
            for one in self._open:
                one.close()

    def _talk(self, connection: socket.socket) -> None:
        if self.mode == "hangs":
            self.released.wait(20)
            return

        def say(text: str) -> None:
            connection.sendall(text.encode() + b"\r\n")

        lines = connection.makefile("rb")
        say("220 mail.example.org ready")
        to: list[str] = []
        while line := lines.readline():
            word, _, rest = line.decode().strip().partition(" ")
            self.texts.append(line.decode())
            match word.upper():
                case "EHLO":
                    extras = [] if self._context is None else ["STARTTLS"] if not isinstance(connection, ssl.SSLSocket) else ["AUTH PLAIN"]
                    say("250-mail.example.org")
                    for extra in extras:
                        say(f"250-{extra}")
                    say("250 8BITMIME")
                case "STARTTLS" if self._context is not None:
                    say("220 go on")
                    lines.close()
                    connection = self._context.wrap_socket(connection, server_side=True)
                    self._open.append(connection)
                    lines = connection.makefile("rb")
                case "AUTH":
                    self.texts.pop()
                    say("535 no" if self.mode == "refuses" else "235 welcome")
                case "MAIL":
                    say(f"{self.busy_code} later, {KNOWN}" if self.mode == "busy" else "550 not from you" if self.mode == "refuses" else "250 ok")
                case "RCPT":
                    if self.refused_address and self.refused_address in rest:
                        say("550 unknown")
                    else:
                        to.append(rest)
                        say("250 ok")
                case "DATA":
                    say("354 go on")
                    data = b""
                    while (line := lines.readline()) not in (b".\r\n", b""):
                        data += line[1:] if line.startswith(b".") else line
                    self.mails.append((to, data))
                    mail = email.message_from_bytes(data, policy=email.policy.SMTP)
                    self.texts += [data.decode(), str(mail.get_content())]
                    self.ids.append(str(mail["X-Assent-Event-Id"]))
                    say("250 taken")
                case "QUIT":
                    say("221 bye")
                    lines.close()
                    return
                case _:
                    say("250 ok")

    def stop(self) -> None:
        super().stop()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()


class TlsRig(SmtpRig):
    security = "starttls"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.certificate, key = folder / "mail.pem", folder / "mail.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key), "-out",
             str(self.certificate), "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"ca_file": str(self.certificate), "user_env": "SMTP_USER", "password_env": "SMTP_PASSWORD"}


class Screen:
    """A terminal of which every line can be read."""

    def __init__(self, rig: TerminalRig) -> None:
        self._rig = rig

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._rig.mode == "hangs":
            self._rig.released.wait(20)
        if self._rig.mode in ("busy", "down"):
            raise BrokenPipeError("the terminal is gone")
        self._rig.texts.append(text)
        self._rig.ids.append(id_in(text))
        return len(text)

    def flush(self) -> None:
        pass


class TerminalRig(Rig):
    modes = frozenset({"ok", "busy", "hangs", "down"})
    patch: pytest.MonkeyPatch

    def settings(self) -> dict[str, Any]:
        self.patch.setattr(sys, "stderr", Screen(self))  # here, because pytest sets its own between a fixture and its test
        return {"kind": "terminal", "time": QUICK}


RIGS: dict[str, type[Rig]] = {
    "slack bot": SlackBotRig, "slack webhook": SlackWebhookRig, "e-mail": SmtpRig, "e-mail over tls": TlsRig, "webhook": WebhookRig, "terminal": TerminalRig,
}  # fmt: skip


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def id_in(text: str) -> str:
    """Slack and the terminal show no event id; the request in the text stands for it."""
    return next(word.strip("()") for word in text.split() if word.strip("()").startswith("req_"))


def build(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    if kind == "e-mail over tls" and shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    rig = RIGS[kind](folder)
    if isinstance(rig, TerminalRig):
        rig.patch = monkeypatch
    return rig


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    built = build(request.param, tmp_path, monkeypatch)
    yield built
    built.stop()


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[WebhookRig]:
    built = WebhookRig(tmp_path)
    yield built
    built.stop()


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[SmtpRig]:
    built = SmtpRig(tmp_path)
    yield built
    built.stop()


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[SlackBotRig]:
    built = SlackBotRig(tmp_path)
    yield built
    built.stop()


class World:
    """A home with a run that waits, and its notice in the outbox for the channel `x`."""

    def __init__(self, runtime: Runtime, clock: FrozenClock, **plan: Any) -> None:
        self.runtime, self.clock = runtime, clock
        effect = {"effect": f"use token {GITHUB} and {KNOWN}"}
        self.run = runtime.start(recorded(effect, title=f"Rotate {GITHUB}\r\nBcc: thief@example.org", intent=f"password: {KNOWN}", **plan))
        self.request = runtime.ledger.requests(self.run.id)[0]
        routes = read_notify({"channels": {"x": {"kind": "terminal"}}, "routes": [{"events": ["request.*"], "channels": ["x"]}]}).routes
        self.notices = routing.notices_for("request.opened", self.request, routes)
        assert self.put(self.notices) == 1

    def put(self, notices: list[Notice]) -> int:
        with self.runtime.ledger.store.write() as c:
            return outbox.enqueue(c, notices, self.clock())

    def channels(self, rig: Rig, **settings: Any) -> Channels:
        rows = {"channels": {"x": rig.settings()}, "routes": [{"events": ["*"], "channels": ["x"]}], **settings}
        return Channels(read_notify(rows), rig.environ)

    def deliver(self, rig: Rig, **settings: Any) -> Counts:
        return deliver.deliver_due(self.runtime.ledger, self.channels(rig, **settings), self.clock(), known=[KNOWN], monotonic=lambda: 0.0)

    @property
    def rows(self) -> list[Posted]:
        with self.runtime.ledger.store.read() as c:
            return outbox.listed(c, "sent") + outbox.listed(c)

    def logged(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.runtime.ledger.events(self.run.id) if event.type == kind]


@pytest.fixture
def world(door: Callable[..., Runtime], clock: FrozenClock) -> World:
    return World(door("dora"), clock)


# --- the contract ---------------------------------------------------------------------------------------------------------------------


def test_what_is_due_is_sent_once_and_logged(world: World, rig: Rig) -> None:
    assert world.deliver(rig) == Counts(sent=1), world.rows[0].said
    assert world.deliver(rig) == Counts()
    assert len(rig.ids) == 1
    (row,) = world.rows
    assert (row.state, row.attempts) == ("sent", 1)
    (data,) = world.logged("notice.sent")
    assert data["channel"] == "x" and data["attempt"] == 1 and data["request"] == world.request.id and data["notice"] == world.notices[0].id
    assert world.runtime.verify().ok


def test_a_failure_for_now_is_tried_again_when_its_time_has_come(world: World, rig: Rig) -> None:
    rig.mode = "busy"
    key = world.notices[0].id
    for attempt in (1, 2, 3):
        assert world.deliver(rig) == Counts(failed=1), attempt
        (row,) = world.rows
        asked = 7.0 if isinstance(rig, HttpRig) else 0.0
        wait = Backoff().wait_s(attempt, key, asked_s=asked)
        assert wait is not None and row.attempts == attempt
        assert abs((row.next_at - world.clock()).total_seconds() - wait) < 0.001
        world.clock.advance(wait - 0.01)
        assert world.deliver(rig) == Counts(), "not before its time"
        world.clock.advance(0.02)
    rig.mode = "ok"
    assert world.deliver(rig) == Counts(sent=1)
    assert world.rows[0].attempts == 4
    assert len(rig.ids) == 1 and len(world.logged("notice.failed")) == 3
    assert world.runtime.verify().ok


@pytest.mark.parametrize("kind", [kind for kind in RIGS if "refuses" in RIGS[kind].modes])
def test_a_refusal_is_given_up_at_once_and_stays_listed_until_somebody_asks_again(
    world: World, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = build(kind, tmp_path, monkeypatch)
    try:
        rig.mode = "refuses"
        assert world.deliver(rig) == Counts(given_up=1)
        world.clock.advance(days=30)
        assert world.deliver(rig) == Counts()
        (row,) = world.rows
        assert row.state == "given_up" and row.said and len(world.logged("notice.given_up")) == 1
        rig.mode = "ok"
        with world.runtime.ledger.store.write() as c:
            assert outbox.again(c, world.clock()) == 1
        assert world.deliver(rig) == Counts(sent=1)
        assert world.runtime.verify().ok
    finally:
        rig.stop()


def test_after_the_last_try_a_notice_is_given_up_and_stays_listed(world: World, rig: Rig) -> None:
    rig.mode = "down"
    for _ in range(2):
        assert world.deliver(rig, tries=3) == Counts(failed=1)
        world.clock.advance(days=1)
    assert world.deliver(rig, tries=3) == Counts(given_up=1)
    (row,) = world.rows
    assert (row.state, row.attempts) == ("given_up", 3)
    assert len(world.logged("notice.failed")) == 2 and len(world.logged("notice.given_up")) == 1


def test_a_receiver_that_hangs_costs_bounded_time_and_is_tried_again(world: World, rig: Rig) -> None:
    rig.mode = "hangs"
    began = time.monotonic()
    assert world.deliver(rig) == Counts(failed=1)
    assert time.monotonic() - began < QUICK + deliver.GRACE_S + 1.5
    rig.released.set()
    rig.mode = "ok"
    world.clock.advance(hours=1)
    assert world.deliver(rig) == Counts(sent=1)


@pytest.mark.parametrize("mode", ["ok", "busy", "refuses", "broken", "down"])
def test_no_secret_is_in_anything_that_leaves_or_is_logged(world: World, rig: Rig, mode: str) -> None:
    rig.mode = mode if mode in rig.modes or (mode == "broken" and isinstance(rig, HttpRig)) else "ok"
    world.deliver(rig)
    left = "\n".join(rig.texts) + json.dumps([event.as_json() for event in world.runtime.ledger.events() if event.type.startswith("notice.")])
    left += json.dumps([row.as_json() for row in world.rows], ensure_ascii=False)
    sent = left.replace(f"Bearer {SECRETS['SLACK_TOKEN']}", "")  # where it belongs
    for secret in (KNOWN, GITHUB, *SECRETS.values()):
        if secret != "mailer":
            assert secret not in sent, secret
    if rig.mode == "ok" and not isinstance(rig, TerminalRig):
        assert "[redacted" in sent, "the texts with the secrets did leave"


def test_what_leaves_names_everything_that_a_person_needs_and_nothing_that_answers(world: World, rig: Rig) -> None:
    world.deliver(rig, link="https://assent.example.org/requests/{request}")
    text = "\n".join(rig.texts)
    assert world.request.id in text and "HIGH" in text and f"assent show {world.request.id}" in text
    if not isinstance(rig, TerminalRig):
        for needed in ("lead or admin", "2026-01-12 09:00 UTC", f"assent approve {world.request.id}", world.run.id, world.request.digest):
            assert needed in text, needed
        assert f"https://assent.example.org/requests/{world.request.id}" in text
        assert text.rindex("IN THE WORDS OF THE AUTHOR") > text.rindex("WHAT WILL RUN")
    assert "?" not in "".join(word for word in text.split() if word.startswith("https://assent.example.org"))


def test_a_variable_that_is_not_set_fails_the_delivery_in_clear_words_and_not_the_pass(world: World, rig: Rig) -> None:
    channels = world.channels(rig)
    variables = channels.settings.channels["x"].variables
    if not variables:
        pytest.skip("this channel has no secret")
    rig.environ.clear()
    assert deliver.deliver_due(world.runtime.ledger, channels, world.clock(), monotonic=lambda: 0.0) == Counts(failed=1)
    assert any(f"{variable} is not set" in world.rows[0].said for variable in variables)
    assert not rig.texts


def test_a_channel_can_be_tried_without_the_outbox(rig: Rig, clock: FrozenClock, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "id_in", lambda text: "test")
    found = deliver.test_channel(world.channels(rig), "x", clock())
    assert found.outcome is Outcome.SENT and rig.texts and not world.logged("notice.sent")
    rig.mode = "down"
    found = deliver.test_channel(world.channels(rig), "x", clock())
    assert found.outcome is Outcome.LATER and found.said
    with pytest.raises(NotFound, match="nowhere"):
        deliver.test_channel(world.channels(rig), "nowhere", clock())


# --- at least once --------------------------------------------------------------------------------------------------------------------


def test_a_sender_killed_between_send_and_mark_is_followed_by_one_with_the_same_event_id(world: World, webhook: WebhookRig, home: Path, workspace: Path) -> None:
    code = f"""
        import os, signal
        from datetime import datetime
        from assent.runtime.ledger import outbox
        from assent.runtime.notify import deliver
        from assent.runtime.notify.channels import Channels, read_notify
        from assent.runtime.runtime import Runtime
        outbox.mark = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
        now = datetime.fromisoformat({world.clock().isoformat()!r})
        runtime = Runtime({str(home)!r}, workspace={str(workspace)!r}, clock=lambda: now)
        channels = Channels(read_notify({{"channels": {{"x": {webhook.settings()!r}}}}}), {webhook.environ!r})
        deliver.deliver_due(runtime.ledger, channels, now)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True, timeout=60)
    assert died.returncode == -9, died.stderr
    assert len(webhook.ids) == 1
    assert world.deliver(webhook) == Counts(), "it is leased to whoever died"
    assert world.rows[0].state == "waiting"
    world.clock.advance(QUICK + deliver.GRACE_S + deliver.LEASE_S + 1)
    assert world.deliver(webhook) == Counts(sent=1)
    assert webhook.ids == [world.notices[0].id] * 2
    assert world.runtime.verify().ok


def test_tries_that_always_kill_their_sender_come_to_an_end(world: World, webhook: WebhookRig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "mark", die)
        for _ in range(2):
            with pytest.raises(Died):
                world.deliver(webhook, tries=2)
            world.clock.advance(hours=1)
    assert world.deliver(webhook, tries=2) == Counts(given_up=1)
    assert len(webhook.ids) == 2 and "without a word" in world.rows[0].said


def test_two_senders_at_once_send_each_notice_once(world: World, webhook: WebhookRig, door: Callable[..., Runtime]) -> None:
    notices = [world.notices[0].model_copy(update={"id": f"ntc_{n:024x}"}) for n in range(20)]
    world.put(notices)
    other = door("lena")
    counts: list[Counts] = []
    ready = threading.Barrier(2)

    def go(ledger: Any) -> None:
        ready.wait()
        counts.append(deliver.deliver_due(ledger, world.channels(webhook), world.clock()))

    threads = [threading.Thread(target=go, args=(ledger,)) for ledger in (world.runtime.ledger, other.ledger)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.sent for one in counts) == 21 and len(webhook.ids) == len(set(webhook.ids)) == 21
    assert world.runtime.verify().ok


def test_a_broken_channel_does_not_hold_up_the_others(world: World, tmp_path: Path) -> None:
    bad, good = WebhookRig(tmp_path), WebhookRig(tmp_path)
    try:
        bad.mode = "hangs"
        many = [world.notices[0].model_copy(update={"id": f"ntc_{n:024x}", "channels": ("a bad one", "good")}) for n in range(30)]
        world.put(many)
        channels = Channels(read_notify({"channels": {"a bad one": bad.settings(), "good": good.settings(), "x": good.settings()}}), bad.environ)
        began = time.monotonic()
        found = deliver.deliver_due(world.runtime.ledger, channels, world.clock(), monotonic=lambda: 0.0)
        assert found == Counts(sent=31, failed=1) and len(bad.seen) == 1
        assert time.monotonic() - began < 4
    finally:
        bad.stop()
        good.stop()


def test_the_background_pass_neither_holds_a_run_nor_touches_a_closed_ledger(world: World, webhook: WebhookRig) -> None:
    webhook.mode = "hangs"
    passing = deliver.in_background(world.runtime.ledger, world.channels(webhook))
    began = time.monotonic()
    world.runtime.decide(world.request.id, "approve", actor={"id": "lena", "assurance": "authenticated"})
    assert world.runtime.run(world.run.id).status.value == "completed"
    assert time.monotonic() - began < QUICK + deliver.GRACE_S, "the run did not wait for the webhook"
    assert passing.finish(0.05) is False
    webhook.released.set()
    time.sleep(0.1)
    assert not world.logged("notice.failed")
    assert world.rows[0].state == "waiting", "and nothing is lost"


def test_the_background_pass_delivers(world: World, webhook: WebhookRig) -> None:
    passing = deliver.in_background(world.runtime.ledger, world.channels(webhook), known=[KNOWN])
    assert passing.finish(10) is True
    assert passing.counts == Counts(sent=1) and webhook.ids == [world.notices[0].id]


def test_what_comes_in_during_a_pass_is_sent_by_the_same_thread(world: World, webhook: WebhookRig) -> None:
    webhook.mode = "hangs"
    passing = deliver.in_background(world.runtime.ledger, world.channels(webhook))
    while not webhook.seen:
        time.sleep(0.01)
    webhook.mode = "ok"
    late = world.notices[0].model_copy(update={"id": "ntc_" + "f" * 24})
    world.put([late])
    assert passing.again() is True
    webhook.released.set()
    assert passing.finish(10) is True
    assert passing.counts == Counts(sent=1, failed=1) and webhook.ids == [late.id]
    assert passing.again() is False, "it is over; another one has to be started"


def test_a_run_tells_people_from_its_pause_to_its_end(
    door: Callable[..., Runtime], webhook: WebhookRig, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in webhook.environ.items():
        monkeypatch.setenv(name, value)
    rows = {"channels": {"x": webhook.settings() | {"time": 5}}, "routes": [{"events": ["*"], "channels": ["x"]}]}
    runtime = door("dora", notify=rows)
    first, second = runtime.start(recorded("a")), runtime.start(recorded("b"))
    runtime.decide(runtime.ledger.requests(first.id)[0].id, "approve", actor={"id": "lena", "assurance": "authenticated"})
    clock.advance(days=8)
    runtime.sweep()
    runtime.close()
    last = door("dora", notify=rows)
    clock.advance(days=1)
    last.sweep()
    told = [(json.loads(body)["run"], json.loads(body)["event"]) for _, _, body in webhook.seen]
    for event in ("request.opened", "request.approved", "run.completed"):
        assert told.count((first.id, event)) == 1, event
    for event in ("request.opened", "request.expired", "run.expired"):
        assert told.count((second.id, event)) == 1, event
    with last.ledger.store.read() as c:
        assert outbox.listed(c) == []
    assert last.verify().ok


def test_a_question_that_was_settled_meanwhile_says_so(world: World, webhook: WebhookRig) -> None:
    world.runtime.decide(world.request.id, "reject", actor={"id": "lena", "assurance": "authenticated"})
    world.deliver(webhook)
    payload = json.loads(webhook.seen[0][2])
    assert payload["state"] == "rejected" and "Settled meanwhile: rejected" in payload["text"]


def test_a_channel_that_is_no_longer_configured_loses_nothing(world: World, webhook: WebhookRig) -> None:
    other = Channels(read_notify({"channels": {"y": webhook.settings()}}), webhook.environ)
    assert deliver.deliver_due(world.runtime.ledger, other, world.clock(), monotonic=lambda: 0.0) == Counts(failed=1)
    assert "no channel 'x'" in world.rows[0].said
    world.clock.advance(hours=1)
    assert world.deliver(webhook) == Counts(sent=1)


# --- the webhook ----------------------------------------------------------------------------------------------------------------------


def test_the_signature_holds_for_the_bytes_and_the_time(world: World, webhook: WebhookRig) -> None:
    world.deliver(webhook)
    _, headers, body = webhook.seen[0]
    signed = (headers["x-assent-timestamp"], body, headers["x-assent-signature"])
    now = world.clock()
    secret = SECRETS["HOOK_SECRET"]
    assert int(signed[0]) == int(now.timestamp())
    assert verify_signature(secret, *signed, now)
    assert not verify_signature("another", *signed, now)
    payload = json.loads(body)
    assert payload["id"] == headers["x-assent-event-id"] and payload["form"] == "assent.notice/1"
    assert set(payload) <= {
        "form", "id", "event", "at", "subject", "text", "people", "run", "request", "digest", "command", "link", "why", "kind", "risk", "version", "state",
        "decide_by", "may_decide",
    }  # fmt: skip


@pytest.mark.parametrize(("mode", "redirect"), [("drips", 0), ("broken", 0), *(("redirects", status) for status in (301, 302, 303, 307, 308))])
def test_a_webhook_that_drips_redirects_or_breaks(world: World, webhook: WebhookRig, mode: str, redirect: int) -> None:
    webhook.mode, webhook.redirect = mode, redirect
    began = time.monotonic()
    found = world.deliver(webhook)
    assert time.monotonic() - began < QUICK + deliver.GRACE_S + 1
    assert found == (Counts(given_up=1) if mode == "redirects" else Counts(failed=1))
    assert [path for path, _, _ in webhook.seen] == ["/hook"], "nothing followed"


def test_a_name_that_leads_inside_is_refused_when_it_is_sent(world: World, webhook: WebhookRig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port)), (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", webhook.port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    settings = {"kind": "webhook", "url": f"https://hooks.example.org:{webhook.port}/hook", "secret_env": "HOOK_SECRET"}
    channels = Channels(read_notify({"channels": {"x": settings}}), webhook.environ)
    assert deliver.deliver_due(world.runtime.ledger, channels, world.clock(), monotonic=lambda: 0.0) == Counts(given_up=1)
    assert asked == ["hooks.example.org"] and not webhook.seen
    assert "not a public address" in world.rows[0].said


# --- Slack ----------------------------------------------------------------------------------------------------------------------------


def test_slack_gets_plain_text_that_cannot_mention_format_or_unfurl(door: Callable[..., Runtime], clock: FrozenClock, bot: SlackBotRig) -> None:
    world = World(door("dora"), clock, author="<!channel> *bold* <https://evil.example|https://good.example> :tada:")
    world.deliver(bot)
    path, headers, body = bot.seen[0]
    sent = json.loads(body)
    assert path == "/api/chat.postMessage" and headers["authorization"] == f"Bearer {SECRETS['SLACK_TOKEN']}"
    assert sent["channel"] == "C0123456789" and sent["unfurl_links"] is False and sent["unfurl_media"] is False and sent["mrkdwn"] is False
    assert all(block["text"]["type"] == "plain_text" and block["text"]["emoji"] is False and len(block["text"]["text"]) <= 3000 for block in sent["blocks"])
    assert "<" not in sent["text"] and SECRETS["SLACK_TOKEN"] not in body.decode()


@pytest.mark.parametrize("redirect", [301, 302, 303, 307, 308])
def test_slack_does_not_carry_its_token_to_where_it_is_redirected(world: World, bot: SlackBotRig, redirect: int) -> None:
    bot.mode, bot.redirect = "redirects", redirect
    assert world.deliver(bot) == Counts(given_up=1)
    assert [path for path, _, _ in bot.seen] == ["/api/chat.postMessage"]


def test_an_error_of_slack_that_passes_is_tried_again(world: World, bot: SlackBotRig) -> None:
    bot.mode = "odd"
    assert world.deliver(bot) == Counts(failed=1)
    assert world.rows[0].said == "Slack says internal_error"


def test_a_long_ask_to_wait_is_honoured_up_to_a_day(world: World, bot: SlackBotRig) -> None:
    bot.mode, bot.retry_after = "busy", "7200"
    world.deliver(bot)
    assert (world.rows[0].next_at - world.clock()).total_seconds() == 7200
    bot.retry_after = "99999999999999999999"
    world.clock.advance(7200)
    world.deliver(bot)
    assert (world.rows[0].next_at - world.clock()).total_seconds() == 86_400


def test_slack_without_its_package_says_what_to_install(world: World, bot: SlackBotRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slack_sdk", None)
    assert world.deliver(bot) == Counts(failed=1)
    assert "assent[notify]" in world.rows[0].said


# --- e-mail ---------------------------------------------------------------------------------------------------------------------------


def test_no_text_of_a_plan_gets_into_a_header(world: World, mail: SmtpRig) -> None:
    world.deliver(mail)
    (to, data) = mail.mails[0]
    found = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert to == ["TO:<ops@example.org>"]
    assert sorted(found.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Assent-Event-Id", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
    )
    assert found["Bcc"] is None and found.get_content_type() == "text/plain"
    assert "\\r\\nBcc: thief@example.org" in found.get_content(), "it stands in the body, visibly"
    assert world.notices[0].id in str(found["Message-ID"]) and found["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("text", ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x0bb\x85c", "é" * 300, "=?utf-8?q?x?=\r\n\r\nbody"])
def test_a_subject_cannot_break_a_header(text: str, clock: FrozenClock) -> None:
    message = Message("ntc_" + "0" * 24, text, ("body",), {}, clock(), clock())
    found = email.message_from_bytes(letter(message, "a@example.org", ["b@example.org"]).as_bytes(), policy=email.policy.SMTP)
    assert len(found.keys()) == 10 and found["Bcc"] is None and found["To"] == "b@example.org"
    assert found.get_content() == "body\r\n" or found.get_content() == "body\n"


def test_who_is_concerned_is_written_to_as_well(world: World, mail: SmtpRig) -> None:
    rejected = world.notices[0].model_copy(update={"id": "ntc_" + "1" * 24, "event": "request.rejected", "people": ("dora", "lena")})
    world.put([rejected])
    world.deliver(mail)
    assert sorted(to for to, _ in mail.mails) == [["TO:<ops@example.org>"], ["TO:<ops@example.org>", "TO:<dora@example.org>"]]


def test_one_refused_recipient_does_not_keep_the_others_from_it(world: World, mail: SmtpRig) -> None:
    mail.refused_address = "dora@"
    world.put([world.notices[0].model_copy(update={"id": "ntc_" + "1" * 24, "people": ("dora",)})])
    assert world.deliver(mail) == Counts(sent=2)
    assert any("dora@example.org (550)" in row.said for row in world.rows)
    mail.refused_address = "ops@"
    world.put([world.notices[0].model_copy(update={"id": "ntc_" + "2" * 24})])
    assert world.deliver(mail) == Counts(given_up=1)


def test_a_server_without_starttls_gets_neither_password_nor_text(world: World, mail: SmtpRig) -> None:
    settings = mail.settings() | {"security": "starttls", "user_env": "SMTP_USER", "password_env": "SMTP_PASSWORD"}
    channels = Channels(read_notify({"channels": {"x": settings}}), mail.environ)
    assert deliver.deliver_due(world.runtime.ledger, channels, world.clock(), monotonic=lambda: 0.0) == Counts(given_up=1)
    assert not mail.mails and "starttls" in world.rows[0].said


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build("e-mail over tls", tmp_path, monkeypatch)
    try:
        channels = Channels(read_notify({"channels": {"x": rig.settings() | {"ca_file": ""}}}), rig.environ)
        assert deliver.deliver_due(world.runtime.ledger, channels, world.clock(), monotonic=lambda: 0.0) == Counts(failed=1)
        assert not rig.ids and "SSLCertVerificationError" in world.rows[0].said
    finally:
        rig.stop()


def test_the_default_port_follows_the_security() -> None:
    given = {"kind": "email", "host": "mail.example.org", "from": "a@example.org", "to": ["b@example.org"]}
    assert EmailSettings.model_validate(given).security == "starttls"
