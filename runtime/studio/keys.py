"""Who may come in by a web address, and how they prove it: tokens, one-time tickets, sessions.

Rules:
- The owner's token is a file in the home that only the owner of the home can read, so whoever has it is taken for the owner: that is as
  certain as the operating system. Everybody else gets a token of their own, by name; only its digest is kept.
- A ticket signs in once, within minutes: it stands in an address, and addresses stay in histories and logs. The token never does.
- A session is a signed cookie that names the token it came from; it ends with the token, with signing out, or after twelve hours.
- Roles are those of the configuration at the moment of the answer, not of the moment of signing in.

Deliberately absent: passwords, and a way to sign in without the token.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...policies.policy import Policy
from ...schemas.approval import Actor, Assurance
from ...schemas.errors import InvalidConfiguration, NotFound
from .. import identity

SESSION_S = 12 * 3600
TICKET_S = 15 * 60
_OWNER = "owner"


@dataclass(frozen=True)
class Visitor:
    """Who came in, and with which token."""

    actor: Actor
    key: str


class Keys:
    """The tokens of one home."""

    def __init__(self, home: Path, *, owner: Actor, policy: Policy, clock: Callable[[], datetime] | None = None) -> None:
        """Open or make them.

        Args:
            owner: whom the owner's token stands for.
            clock: returns aware time.
        """
        self.folder = home / "door"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.owner = owner
        self._policy = policy
        self._clock = clock or (lambda: datetime.now(UTC))
        self.token_file = self.folder / "token"
        self.token = _kept(self.token_file)
        self._secret = bytes.fromhex(hashlib.sha256(_kept(self.folder / "secret").encode()).hexdigest())
        self._people = self.folder / "people.json"
        self._lock = threading.Lock()
        self._tickets: dict[str, datetime] = {}
        self._ended: set[str] = set()

    # --- tokens ---------------------------------------------------------------------------------------------------------------------

    def visitor(self, token: str) -> Visitor | None:
        """Return who holds a token; `None`: nobody does."""
        return self._named(_digest(token)) if token else None

    def person(self, name: str) -> Visitor | None:
        """Return somebody by name, as far as they hold a token now."""
        if name == self.owner.id:
            return Visitor(self.owner, _OWNER)
        return next((self._named(key) for key, who in self._read().items() if who == name), None)

    def give(self, name: str) -> str:
        """Make a token for somebody whom the configuration names, and return it; it is not kept. An earlier one of theirs ends.

        Raises:
            InvalidConfiguration: the configuration does not know them, so that nothing they say could count.
        """
        if name not in self._policy.actors:
            raise InvalidConfiguration(f"the configuration does not know {name!r}", hint=f"add them to config.yaml: `actors: {{{name}: [developer]}}`")
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._write({**{key: who for key, who in self._read().items() if who != name}, _digest(token): name})
        return token

    def take_away(self, name: str) -> None:
        """End somebody's token and every session that came from it. Raises: NotFound: they have none."""
        with self._lock:
            people = self._read()
            if name not in people.values():
                raise NotFound(f"{name!r} has no token", hint="`assent serve --invite NAME` makes one")
            self._write({key: who for key, who in people.items() if who != name})

    def _named(self, key: str) -> Visitor | None:
        if same(key, _digest(self.token)):
            return Visitor(self.owner, _OWNER)
        name = self._read().get(key)
        if name is None or name not in self._policy.actors:
            return None
        return Visitor(identity.named(Actor(id=name, assurance=Assurance.AUTHENTICATED), self._policy), key)

    def _read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._people.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InvalidConfiguration(f"{self._people} cannot be read: {error}", hint="remove it and invite people again") from error
        return found

    def _write(self, people: dict[str, str]) -> None:
        # A name of its own: another process may invite somebody at the same time.
        fresh = self._people.with_suffix(f".{secrets.token_hex(4)}.new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(people, indent=1), encoding="utf-8")
        fresh.replace(self._people)

    # --- tickets and sessions -------------------------------------------------------------------------------------------------------

    def ticket(self) -> str:
        """Return a ticket that signs the owner in, once."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[_digest(ticket)] = self._clock()
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return a session for a ticket; `None`: it was used, is too old, or never was one."""
        with self._lock:
            made = self._tickets.pop(_digest(ticket), None)
        if made is None or (self._clock() - made).total_seconds() > TICKET_S:
            return None
        return self._session(_OWNER)

    def sign_in(self, token: str) -> str | None:
        """Return a session for a token; `None`: nobody holds it."""
        found = self.visitor(token)
        return None if found is None else self._session(found.key)

    def session(self, cookie: str) -> Visitor | None:
        """Return whose session a cookie is; `None`: no session that still holds."""
        body, _, mac = cookie.rpartition(".")
        if not body or not same(mac, self._mac("session", body)) or _digest(cookie) in self._ended:
            return None
        key, at, _ = body.split(".")
        if not 0 <= self._clock().timestamp() - int(at) <= SESSION_S:
            return None
        return Visitor(self.owner, _OWNER) if key == _OWNER else self._named(key)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._ended.add(_digest(cookie))

    def csrf(self, cookie: str) -> str:
        """Return what every form of a session carries; another site cannot know it."""
        return self._mac("form", cookie)

    def _session(self, key: str) -> str:
        body = f"{key}.{int(self._clock().timestamp())}.{secrets.token_hex(12)}"
        return f"{body}.{self._mac('session', body)}"

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _kept(path: Path) -> str:
    """Return the random text in a file that only its owner can read; made where it is missing."""
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            found = path.read_text(encoding="ascii").strip()
            if len(found) >= 32:
                return found
            raise InvalidConfiguration(f"{path} is damaged", hint="remove it; a new one is made, and everybody signs in again") from None
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
