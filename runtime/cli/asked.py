"""What a question about a phase or a release asks, in lines: why, who contradicts whom, and what an answer means.

Rules: texts of agents are shown as texts of agents, clean and bounded; the plan, where there is one, is shown beside it by `panel.py`. Source: E3, E7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...schemas.approval import Question, Request
from .lines import Line, one_line, styled

_MOST = 8
_HEADS = {
    Question.GATE: "THE CHECKPOINT OF THE {phase} WAS NOT PASSED", Question.CONFLICT: "AGENTS OF THE {phase} CONTRADICT EACH OTHER",
    Question.REVIEW: "MAY THIS BE RELEASED?",
}  # fmt: skip
_MEANS = {
    Question.GATE: "Approving makes an exception, in your name: the run goes on although this does not hold. Rejecting ends it.",
    Question.CONFLICT: "Say which side of each holds; the phase is put together again with that. Rejecting ends the run.",
    Question.REVIEW: "Approving releases the work. Rejecting does not, and the rules say whether it is taken back.",
}


def is_about_phase(request: Request) -> bool:
    """Tell whether a question is about a phase or a release rather than about a plan's steps."""
    return request.kind in _HEADS and bool(request.subject.get("phase"))


def asked(request: Request, *, known: Sequence[str] = ()) -> Iterator[Line]:
    """Yield what is asked, why, and what each answer means."""
    subject: Mapping[str, Any] = request.subject
    yield styled((_HEADS[request.kind].format(phase=one_line(subject.get("phase", "phase"), 40).upper()), "bold yellow"))
    for reason in str(subject.get("why", "")).split("; "):
        if reason.strip():
            yield styled("  • ", one_line(reason, 300, known=known, prose=True))
    for conflict in list(subject.get("conflicts", ()))[:_MOST]:
        yield styled("  ", (one_line(conflict.get("id", ""), 60), "bold"), f"  {one_line(conflict.get('aspect', ''), 80)} of {one_line(conflict.get('subject', ''), 120, known=known)}")
        for side in list(conflict.get("sides", ()))[:_MOST]:
            text = f" ({one_line(side['text'], 160, known=known, prose=True)})" if side.get("text") else ""
            yield styled(f"    {one_line(side.get('agent', ''), 40)} says {one_line(side.get('value', ''), 120, known=known)}{text}")
    for issue in list(subject.get("issues", ()))[:_MOST]:
        yield styled("  ", ("known issue: ", "dim"), one_line(issue, 240, known=known, prose=True))
    yield styled(("  " + _MEANS[request.kind], "dim"))


def answers(request: Request) -> Iterator[Line]:
    """Yield the commands that answer it."""
    reason = ' --reason "…"' if request.need.reason_required else ""
    if request.kind is Question.CONFLICT:
        sides = " ".join(f"{one['id']}={'|'.join([*(str(side['agent']) for side in one['sides']), 'none'])}" for one in request.subject.get("conflicts", ()))
        yield styled(f"  resolve:  assent resolve {request.id} {one_line(sides, 400)}{reason}")
    else:
        yield styled(f"  approve:  assent approve {request.id}{reason}")
    yield styled(f"  reject:   assent reject {request.id}{reason}")
