"""The conversation with a person at a terminal: show, ask, do what they say, until the run is over or they leave.

Rules: what is answered is the request that was shown, which names the plan's digest; an edit is shown as a difference with its new risk before
it counts; leaving (Ctrl-D) changes nothing, and the request waits. Source: the approval console of the plan/approve/execute guide.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...policies.approvals import may_decide, need
from ...schemas.approval import Question, Request, Verdict
from ...schemas.errors import AssentError, NotAllowed
from ...schemas.plan import Plan
from ...schemas.risk import Risk
from .change import Change, changes, difference_of, risk_changes
from .detail import details
from .lines import Line, block, clean, console, level, one_line, put, styled
from .outcome import waits
from .panel import Review, footer, panel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..run import Run
    from ..runtime import Runtime

_PLAN_KEYS = {"a": Verdict.APPROVE, "r": Verdict.REJECT, "m": Verdict.EDIT}
_DOUBT_KEYS = {"h": Verdict.HAPPENED, "n": Verdict.DID_NOT_HAPPEN, "g": Verdict.ABANDON}
_LETTERS = {verdict: letter for letter, verdict in {**_PLAN_KEYS, **_DOUBT_KEYS}.items()}
_WORDS = {
    Verdict.APPROVE: "[A]pprove", Verdict.REJECT: "[R]eject", Verdict.EDIT: "[M]odify", Verdict.HAPPENED: "it [H]appened",
    Verdict.DID_NOT_HAPPEN: "it did [N]ot happen", Verdict.ABANDON: "[G]ive it up",
}  # fmt: skip


def converse(runtime: Runtime, run: Run) -> Run:
    """Ask about whatever of a run waits for a person, until nothing does, or they leave, or somebody else has to speak.

    The caller shows the progress.
    """
    while run.status.is_waiting:
        request = next((one for one in run.requests if one.is_open), None)
        if request is None:
            return run.resume()
        if any(decision.actor.id == runtime.actor.id for decision in request.approvals):
            return run
        answered = _asked(runtime, request)
        if answered is None:
            return run
        run = answered
    return run


def _asked(runtime: Runtime, request: Request) -> Run | None:
    """Show one request and do what the person says. `None`: they leave it."""
    screen = console()
    if not request.digest:
        # There is no plan yet that could be shown; the commands answer it.
        for line in waits([request]):
            put(screen, line)
        return None
    review = Review.of(runtime, request)
    screen.print(panel(review))
    keys = {key: verdict for key, verdict in {**_PLAN_KEYS, **_DOUBT_KEYS}.items() if verdict in request.options}
    barred = _barred(runtime, request)
    if barred:
        put(screen, styled(("You cannot answer this: ", "bold"), one_line(barred)))
        return None
    looked = review.is_whole
    while True:
        put(screen, footer(review))
        said = ask("  ".join([*(_WORDS[verdict] for verdict in keys.values()), "[?]Details", "(Ctrl-D: later)"]) + " ")
        if said is None:
            return None
        key = _key(said, ("?", "details", *keys, *(_named(verdict) for verdict in keys.values())))
        if keys.get(key) is Verdict.APPROVE and not looked:
            sys.stdout.write("Not all of it was shown. ? shows all of it; A once more approves without looking.\n")
            looked = True
        elif key == "?":
            looked = True
            for line in details(review):
                put(screen, line)
        elif key in keys:
            try:
                run = _done(runtime, review, keys[key])
            except AssentError as error:
                sys.stdout.write(f"error: {clean(error.message, prose=True)}\nhint: {clean(error.hint, prose=True)}\n")
                if not runtime.ledger.request(request.id).is_open:
                    return runtime.run(request.run_id)
                continue
            if run is not None:
                return run
        elif said.strip():
            sys.stdout.write("That is none of these; nothing was answered.\n")


def _named(verdict: Verdict) -> str:
    """Return the word of an answer without its brackets."""
    return _WORDS[verdict].replace("[", "").replace("]", "").lower()


def _key(said: str, words: Sequence[str]) -> str:
    """Return the letter of the word that was typed, whole or by its letter; nothing for anything else, so that `abort` does not approve."""
    typed = said.strip().lower()
    if typed not in words:
        return ""
    return "?" if typed == "details" else next((letter for verdict, letter in _LETTERS.items() if typed in (letter, _named(verdict))), typed)


def _barred(runtime: Runtime, request: Request) -> str:
    """Say why nothing that this person answers would count; empty when something would."""
    rulings = [may_decide(runtime.actor, verdict, request.need, runtime.policy, reason="given") for verdict in request.options]
    return "" if any(ruling.is_allowed for ruling in rulings) else "; ".join(dict.fromkeys(reason for ruling in rulings for reason in ruling.reasons))


def _done(runtime: Runtime, review: Review, verdict: Verdict) -> Run | None:
    request = review.request
    if verdict is Verdict.EDIT:
        plan = modified(runtime, request, review.plan)
        if plan is None:
            return None
        return runtime.decide(request.id, "edit", edit=plan)
    reason = ""
    if verdict is Verdict.REJECT or request.need.reason_required:
        given = ask("Reason: " if request.need.reason_required else "Reason (may be empty): ")
        if given is None:
            return None
        reason = given.strip()
    return runtime.decide(request.id, verdict.value, reason=reason)


def modified(runtime: Runtime, request: Request, plan: Plan, *, quiet: bool = False) -> Plan | None:
    """Let the person edit a plan until it can be read and they want it.

    Args:
        quiet: show and ask nothing; what cannot be read is an error. So it is also where nobody is there to be asked.

    Returns:
        the changed plan; `None` where nothing was changed or they drop the edit.

    Raises:
        NotAllowed, InvalidConfiguration: there can be no edit.
        InvalidDocument, InvalidPlan: what was written cannot be read, and nobody can be asked to mend it.
    """
    from .editing import edit, read_back, written

    if request.kind is not Question.PLAN or Verdict.EDIT not in request.options:
        raise NotAllowed("this question cannot be answered by an edit", hint="the plan can be edited only before its first step ran")
    screen = console()
    text = written(plan, runtime.tools, title=f"Plan of {request.run_id}, version {request.version}")
    while True:
        text = edit(text)
        try:
            changed = read_back(text, plan, runtime.tools, file="plan.yaml")
        except AssentError as error:
            if quiet or not sys.stdin.isatty():
                raise
            sys.stdout.write(f"error: {clean(error.message, prose=True)}\nhint: {clean(error.hint, prose=True)}\n")
            said = ask("[E]dit again  [D]rop the edit ")
        else:
            found = changes(plan, changed)
            if quiet:
                return changed if found else None
            if not found:
                sys.stdout.write("Nothing was changed.\n")
                return None
            after = runtime.ledger.risk(changed, request.run_id).whole
            for line in shown_changes(found, runtime.ledger.risk(plan, request.run_id).whole, after, tuple(runtime.settings.environment.values())):
                put(screen, line)
            if need(after.level, changed, (), runtime.policy) is not None or not sys.stdin.isatty():
                return changed  # the next panel asks about it, or the command was to edit
            said = ask("The edited plan needs no approval and runs at once.  [A]pprove  [E]dit again  [D]rop the edit ")
            if said is not None and said.strip().lower() in ("a", "approve"):
                return changed
        if said is None or said.strip().lower() in ("d", "drop", "drop the edit"):
            return None


def shown_changes(found: list[Change], old: Risk, new: Risk, known: tuple[str, ...] = ()) -> Iterator[Line]:
    """Yield what an edit changes, and what that does to the risk."""
    yield styled(("WHAT CHANGES", "bold"))
    for change in found:
        yield styled(f"  {change.how}: ", (one_line(change.where, 120, known=known), "bold"))
        for line in block("\n".join(difference_of(change)), most=20, known=known):
            yield styled("    ", (line, "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"))
    came, gone = risk_changes(old, new)
    yield styled(("RISK ", "bold"), level(old.level.value), " → ", level(new.level.value))
    for finding in came:
        yield styled("  new:  ", level(finding.level.value), f" {one_line(finding.text, 160, known=known)} ", (f"({one_line(finding.rule)})", "dim"))
    for finding in gone:
        yield styled(("  gone: ", "dim"), level(finding.level.value), f" {one_line(finding.text, 160, known=known)}")


def ask(question: str) -> str | None:
    """Ask on the terminal and return the line; `None` at the end of the input."""
    sys.stdout.write(question)
    sys.stdout.flush()
    said = sys.stdin.readline()
    if not said:
        sys.stdout.write("\n")
        return None
    return said
