"""Who may do what at the Agent Server: the object that `langgraph.json` names as its authentication.

Rules: nobody comes in without a token of this home; a cookie opens the page and never the API; everything that is not allowed here by name is
refused, so an address that a newer server adds is closed until somebody opens it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph_sdk import Auth
from starlette.requests import cookie_parser

from ...schemas.errors import AssentError
from .entrance import entrance
from .frame import ROOT
from .keys import Visitor
from .visit import COOKIE, status_of

auth = Auth()
_NOBODY = "anonymous"


@auth.authenticate
async def authenticate(headers: dict[bytes, bytes], path: str) -> Auth.types.MinimalUserDict:
    """Return who holds the token of a call; pages let everybody as far as the page that asks for it.

    Raises:
        HTTPException: 401, nobody does.
    """
    return await asyncio.to_thread(_authenticated, headers, path)


def _authenticated(headers: dict[bytes, bytes], path: str) -> Auth.types.MinimalUserDict:
    keys = entrance().keys
    given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
    visitor = keys.visitor(_token(given))
    if visitor is None and (path == ROOT or path.startswith(f"{ROOT}/")):
        # The page asks for its own session; with it or without, nothing else is open to whoever comes this way.
        visitor = keys.session(cookie_parser(given.get("cookie", "")).get(COOKIE, ""))
        name = visitor.actor.id if visitor else _NOBODY
        return {"identity": f"page:{name}", "display_name": name, "is_authenticated": visitor is not None, "permissions": []}
    if visitor is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="a token of this home is needed: `Authorization: Bearer …` or `x-api-key`")
    return {"identity": visitor.actor.id, "display_name": visitor.actor.name or visitor.actor.id, "is_authenticated": True, "permissions": ["api"]}


def _token(headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


@auth.on
async def otherwise(ctx: Auth.types.AuthContext, value: Any) -> bool:
    """Refuse what is not allowed below."""
    raise Auth.exceptions.HTTPException(status_code=403, detail=f"{ctx.resource}.{ctx.action} is not open at this door")


@auth.on(resources="assistants", actions=["read", "search"])
@auth.on(resources="threads", actions=["create", "read", "search", "delete"])
async def look(ctx: Auth.types.AuthContext, value: Any) -> bool:
    """Let people with a token look, and make and remove threads: what counts is in the ledger."""
    return _has_token(ctx)


@auth.on.threads.update
async def update(ctx: Auth.types.AuthContext, value: Any) -> bool:
    """Let a thread be named, a run be stopped, and state be edited: what may be written of it the graph itself holds against its rule (`held.py`)."""
    return _has_token(ctx)


@auth.on.threads.create_run
async def create_run(ctx: Auth.types.AuthContext, value: Any) -> bool:
    """Let a run begin or go on, and record the answer that it carries."""
    _has_token(ctx)
    thread_id, kwargs = value.get("thread_id"), value.get("kwargs")
    try:
        await asyncio.to_thread(_enter, ctx.user.identity, "" if thread_id is None else str(thread_id), kwargs if isinstance(kwargs, dict) else {})
    except AssentError as error:
        detail = f"{error.message}. {error.hint}" if error.hint else error.message
        raise Auth.exceptions.HTTPException(status_code=status_of(error), detail=detail) from error
    return True


def _enter(identity: str, thread_id: str, kwargs: dict[str, Any]) -> None:
    entrance().gate.enter(_visitor(identity).actor, thread_id, kwargs)


def _visitor(identity: str) -> Visitor:
    found = entrance().keys.person(identity)
    if found is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="this token is no longer held by anybody")
    return found


def _has_token(ctx: Auth.types.AuthContext) -> bool:
    if "api" not in ctx.permissions:
        raise Auth.exceptions.HTTPException(status_code=403, detail="this needs a token, not a session of the page")
    return True
