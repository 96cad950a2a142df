"""Editing a plan in the page: the document, then what changes and what that does to the risk, then the change itself.

Rules: the document is the one that `assent edit` opens, with secrets hidden; a hidden value that stays where it is stays what it was, and a
document in which one was added or dropped is not read. Nothing counts before the difference was shown.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass

from ...policies.redact import find_secrets, redact
from ...policies.redact_span import replaced
from ...schemas.approval import Request
from ...schemas.errors import AssentError, Complaint, InvalidDocument
from ...schemas.plan import Plan
from ...schemas.risk import Risk
from ...tools.toolbox import Toolbox
from ..cli.change import changes, difference_of, risk_changes
from ..cli.editing import read_back, written
from ..cli.lines import block
from .frame import ROOT, Frame, trouble
from .markup import Child, Html, badge, exact, tag, words
from .pages_request import diff

_MARKER = re.compile(r"\[redacted:([a-z0-9-]{2,40})\]")


@dataclass(frozen=True)
class Document:
    """A plan as text for a person, and what was hidden in it."""

    text: str
    secrets: tuple[tuple[str, str], ...] = ()
    """(marker, what it hides), in the order of the text."""

    @classmethod
    def of(cls, plan: Plan, tools: Toolbox, request: Request, known: tuple[str, ...]) -> Document:
        """Return the document of a plan.

        Raises:
            InvalidDocument: it holds secrets that cannot be told apart from the rest.
        """
        text = written(plan, tools, title=f"Plan of {request.run_id}, version {request.version}")
        spans = find_secrets(text, known=known)
        shown = replaced(text, spans)
        if redact(shown, known=known) != shown or len(_MARKER.findall(shown)) != len(spans):
            raise InvalidDocument(
                [Complaint(where="plan", expected="secrets that can be hidden one by one")], file="the plan", hint=f"edit it in a terminal: `assent edit {request.id}`"
            )
        return cls(shown, tuple((f"[redacted:{span.kind}]", text[span.start : span.end]) for span in spans))

    def read(self, text: str, plan: Plan, tools: Toolbox) -> Plan:
        """Return the plan that the edited text means.

        Raises:
            InvalidDocument, InvalidPlan: every complaint, with lines.
        """
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        mine = Counter(marker for marker, _ in self.secrets)
        if Counter(match[0] for match in _MARKER.finditer(text)) != mine:
            raise InvalidDocument(
                [Complaint(where="plan", expected="every hidden value once, where it was", found="one was added, dropped or copied")], file="the plan",
                hint="leave hidden values as they are, or edit the plan in a terminal: `assent edit REQUEST`",
            )  # fmt: skip
        left = {marker: deque(value for name, value in self.secrets if name == marker) for marker in mine}
        whole = _MARKER.sub(lambda match: left[match[0]].popleft(), text)
        return read_back(whole, plan, tools, file="plan.yaml")


def edit_page(frame: Frame, request: Request, text: str, *, error: AssentError | None = None) -> Html:
    """Return the page with the document in an editor."""
    form = frame.form(
        f"{ROOT}/requests/{request.id}/edit", tag("input", type="hidden", name="digest", value=request.digest), tag("label", "The plan", for_="text"),
        # A browser drops one line feed after the tag.
        tag("textarea", "\n" + text, id="text", name="text", rows="28", spellcheck="false", autocapitalize="off", autocomplete="off", wrap="off", class_="code"),
        tag("div", tag("button", "Show what changes", name="go", value="look", class_="primary"), _back(request), class_="buttons"), class_="stack",
    )  # fmt: skip
    return frame.page("Edit", _crumbs(request), tag("h1", "Edit the plan"), trouble(error) if error is not None else None, tag("p", _NOTE, class_="dim"), form)


_NOTE = "An edited plan is another plan: it is assessed again, and earlier approvals do not count for it."


def difference_page(frame: Frame, request: Request, text: str, old: Plan, new: Plan, risks: tuple[Risk, Risk], known: tuple[str, ...]) -> Html:
    """Return the page that shows what an edit changes, before it counts."""
    found = [
        tag("li", f"{change.how}: ", tag("strong", exact(change.where, known=known, limit=120)), diff(block("\n".join(difference_of(change)), most=200, known=known)))
        for change in changes(old, new)
    ]  # fmt: skip
    came, gone = risk_changes(*risks)
    lines: list[Child] = [tag("li", badge(one.level.value), tag("div", "new: ", words(one.text, known=known))) for one in came]
    lines += [tag("li", badge(one.level.value), tag("div", "gone: ", words(one.text, known=known)), class_="dim") for one in gone]
    hidden = tag("textarea", "\n" + text, name="text", hidden=True, aria_hidden="true", tabindex="-1", readonly=True)
    form = frame.form(
        f"{ROOT}/requests/{request.id}/edit", tag("input", type="hidden", name="digest", value=request.digest), hidden,
        tag("label", "Reason (may be empty; kept with the edit)", for_="reason"), tag("textarea", "", id="reason", name="reason", rows="2", maxlength="10000"),
        tag("div", tag("button", "Save the edit", name="go", value="save", class_="primary"), tag("button", "Edit again", name="go", value="again"), _back(request),
            class_="buttons"), class_="stack",
    )  # fmt: skip
    return frame.page(
        "What changes", _crumbs(request), tag("h1", "What changes"), tag("ul", found, class_="plain changes") if found else tag("p", "Nothing was changed.", class_="box"),
        tag("section", tag("h2", "Risk ", badge(risks[0].level.value), " → ", badge(risks[1].level.value)), tag("div", tag("ul", lines, class_="findings"), class_="panel") if lines else None),
        tag("p", _NOTE, class_="dim"), form,
    )  # fmt: skip


def _crumbs(request: Request) -> Html:
    return tag("p", tag("a", "Inbox", href=f"{ROOT}/"), " / ", tag("a", "the request", href=f"{ROOT}/requests/{request.id}"), class_="crumbs")


def _back(request: Request) -> Html:
    return tag("a", "Leave it", href=f"{ROOT}/requests/{request.id}", class_="button quiet")
