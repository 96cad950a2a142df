"""Who stands at the door. The operating system says who runs this process; nothing that a model or a file can write is asked.

A process that a step started has its user's rights, and is not that person: the environment of steps is marked (`ASSENT_AGENT`), and under the
mark whoever acts is an agent, which decides nothing. People set it for agents of their own, too. Code that an agent calls as its tool inside this
process is under the mark as well (`ACTS`). It only ever takes away; a program that removes the mark could as well write into the ledger.
"""

from __future__ import annotations

import contextvars
import os
import pwd
import unicodedata
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..policies.approvals import ALL_ROLES
from ..policies.policy import Policy
from ..schemas.approval import Actor, Assurance
from ..schemas.errors import InvalidConfiguration
from ..tools.environment import MARK


def operating_system_user() -> str:
    """Return the login name of this process's real user; environment variables are not asked, because anybody can set them."""
    return login_name(os.getuid())


def login_name(uid: int) -> str:
    """Return the login name of a user of the operating system, or `uid:…` where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


ACTS: contextvars.ContextVar[bool] = contextvars.ContextVar("assent_agent_acts", default=False)
"""Set around the body of a tool that an agent calls in this process."""


def is_marked() -> bool:
    """Tell whether this process belongs to a step or to an agent, or this flow to a tool that an agent calls, and so to no person."""
    return ACTS.get() or bool(os.environ.get(MARK))


def as_marked(actor: Actor) -> Actor:
    """Return who acts in this very moment: the actor, or an agent of that name under the mark."""
    return actor.model_copy(update={"kind": "agent", "roles": ()}) if is_marked() else actor


def at_the_door(actor: Actor | str | Mapping[str, Any] | None, policy: Policy) -> Actor:
    """Return the actor of a door that is being opened.

    Under `solo` the person at the door holds all roles; a name that was only asserted and is not in the configuration holds all but `admin`,
    so that one person with two names cannot be the two people whom a critical plan takes.

    Raises:
        InvalidConfiguration: not an actor.
    """
    found = Actor(id=operating_system_user(), assurance=Assurance.OPERATING_SYSTEM) if actor is None else named(actor, policy)
    if is_marked():
        return as_marked(found)
    if found.kind != "human" or found.id in policy.actors or policy.preset != "solo" or found.roles:
        return found
    roles = ALL_ROLES if found.assurance is not Assurance.ASSERTED else tuple(role for role in ALL_ROLES if role != "admin")
    return found.model_copy(update={"roles": roles})


def named(actor: Actor | str | Mapping[str, Any], policy: Policy) -> Actor:
    """Return an actor whom the caller names, with the roles that the configuration gives them and no others.

    Raises:
        InvalidConfiguration: not an actor.
    """
    try:
        if isinstance(actor, str) and actor.strip():
            actor = Actor(id=operating_system_user(), assurance=Assurance.OPERATING_SYSTEM) if actor == operating_system_user() else Actor(id=actor)
        elif isinstance(actor, Mapping):
            # What stands in a mapping is asserted, whatever it says of itself.
            actor = Actor.model_validate({**actor, "assurance": Assurance.ASSERTED})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidConfiguration(f"not an actor: {where}: {first['msg']}", hint='for example actor="alice"', key=where) from error
    if isinstance(actor, Actor):
        _hold_name(actor)
    else:
        raise InvalidConfiguration(f"expected the id of an actor, found {actor!r}", hint='for example actor="alice"')
    if is_marked():
        return as_marked(actor)
    member = policy.actors.get(actor.id)
    if member is not None:
        return actor.model_copy(update={"roles": member.roles, "kind": member.kind if actor.kind == "human" else actor.kind, "name": actor.name or member.name})
    if actor.assurance is Assurance.OPERATING_SYSTEM and policy.preset == "solo" and actor.kind == "human":
        return actor.model_copy(update={"roles": ALL_ROLES})
    # Roles that were only asserted would let one person be the two whom a critical plan takes.
    return actor.model_copy(update={"roles": ()}) if actor.assurance is Assurance.ASSERTED else actor


def _hold_name(actor: Actor) -> None:
    """Refuse a name that could be taken for another one, or for what needs no person.

    Raises:
        InvalidConfiguration: it begins or ends with a blank, is not printable or not in Unicode's composed form, or is one of ours.
    """
    name = actor.id
    if name != name.strip() or not name.isprintable() or unicodedata.normalize("NFC", name) != name:
        raise InvalidConfiguration(f"not a name: {name!r}", hint="printable characters, without a blank at either end", key="id")
    if actor.kind == "human" and (name.casefold() == "system" or name.casefold().startswith("system:")):
        raise InvalidConfiguration(f"{name!r} is not the name of a person", hint='names that begin with "system" are those of assent itself', key="id")
