"""What a notebook shows: complete, escaped, drawn without a network; and the controls, with widgets and without."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.notebook import controls, draw, follow, show
from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded
from assent.schemas.errors import NotFound
from assent.schemas.phase import Criterion
from assent.schemas.plan import Measure

from .agents import extra
from .phase_world import World, finding, says, spec_of

Door = Callable[..., Runtime]
HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "</pre></details><iframe src=//evil.example>", "&lt;script&gt;",
    "javascript:alert(1)", "{{7*7}}", "<!--", "]]>", "\u202etxt.exe", "a\x00b\x1b[31m", "<style>*{display:none}</style>", "' onmouseover='alert(1)",
]
_TAGS = {
    "style", "div", "h4", "table", "tr", "th", "td", "span", "pre", "ul", "li", "details", "summary", "b", "svg", "defs", "marker", "path", "rect", "text",
}


class Page(HTMLParser):
    """Every tag and attribute of a page, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def is_safe(html: str) -> Page:
    page = Page(html)
    assert page.tags <= _TAGS, page.tags - _TAGS
    assert not [name for name in page.attributes if name.startswith("on") or name in ("src", "href", "srcset")], page.attributes
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\((?!#)|@import", re.sub(r">[^<]*<", "><", html))
    assert "\u202e" not in html
    assert "\x00" not in html
    assert "\x1b" not in html
    return page


def hostile_plan(text: str) -> Any:
    measure = Measure(criterion=text, tool="recorder", args={"effect": text, "looks": True}, read="value", unit=text)
    return recorded(
        {"effect": text, "level": "HIGH"}, title=text, problem={"description": text, "success_criteria": (text,)}, measures=(measure,), intent=text, author="eve",
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_and_acts_nowhere(door: Door, text: str) -> None:
    runtime = door()
    run = runtime.start(hostile_plan(text))
    things: list[Any] = [run.plan, run.requests[0], run, run.requests, [run], run.events(), run.risk]
    for thing in things:
        is_safe(show(thing, runtime).html)
        is_safe(show(thing).html)
    is_safe(controls(runtime, run.requests[0], widgets=False).html)
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), reason=text)
    things = [run, run.results, run.requests[0]]
    for thing in things:
        page = is_safe(show(thing, runtime).html)
        assert text.strip("\u202e\x00\x1b")[:1] in page.words


def test_what_is_shown_is_what_was_written(door: Door) -> None:
    runtime = door()
    run = runtime.start(hostile_plan("<script>alert(1)</script>"))
    assert Page(show(run.plan, runtime).html).words.count("<script>alert(1)</script>") >= 4


def test_secrets_are_hidden_everywhere(door: Door) -> None:
    secret = "ghp_Zk3vQ8mT1xRw7LpYbN5cDf2GhJ6sAe9uVo4K"
    runtime = door()
    run = runtime.start(hostile_plan(f"token {secret}"))
    for thing in (run.plan, run.requests[0], run, run.requests, [run], run.events()):
        assert secret not in show(thing, runtime).html
        assert secret not in show(thing).html
    assert secret not in controls(runtime, run.requests[0], widgets=False).html


def test_a_plan_is_shown_with_its_risk_and_what_each_call_will_do(door: Door) -> None:
    runtime = door()
    words = Page(show(recorded({"effect": "a", "level": "CRITICAL"}, {"effect": "b", "level": "LOW"}), runtime).html).words
    for expected in ("CRITICAL", "LOW", "record a", "record b", "write that it was taken back"):
        assert expected in words


def test_a_request_says_who_may_answer_and_until_when(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    words = Page(show(run.requests[0], runtime).html).words
    for expected in ("HIGH", "lead or admin", "dora", "2026-01-12", run.requests[0].id, run.row.digest):
        assert expected in words


def test_results_say_what_was_measured_and_what_was_left_behind(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "can_undo": False}, {"effect": "b", "outcome": "failed"}))
    runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    words = Page(show(run).html).words
    for expected in ("failed", "no success", "not taken back", "lena", "told that b is failed"):
        assert expected in words


def test_the_log_and_its_verification(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": "LOW"}))
    words = Page(show(run.events()).html).words
    assert [kind for kind in ("run.started", "step.dispatched", "step.done") if kind in words] == ["run.started", "step.dispatched", "step.done"]
    assert "the log is whole" in Page(show(runtime.verify()).html).words


def test_a_run_shows_itself(door: Door) -> None:
    run = door().start(recorded({"effect": "a", "level": "LOW"}))
    assert run._repr_html_() == show(run).html


def test_the_data_of_an_entry_is_short_and_keys_can_be_told_apart(door: Door) -> None:
    run = door().start(recorded({"effect": "a", "level": "LOW"}))
    words = Page(show(run.events()).html).words
    dispatched = next(event for event in run.events() if event.type == "step.dispatched")
    assert f"key {dispatched.data['key'][:8]}…" in words
    assert not re.search(r"[0-9a-f]{32}", words)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "it works"])
def test_what_a_phase_gave_is_shown_with_who_is_missing(tmp_path: Path, text: str) -> None:
    def talks(message: Any) -> dict[str, Any]:
        return says(finding("a.py", "lines", 7, "critical", text=text), summary=text)

    def breaks(message: Any) -> None:
        raise ValueError(text)

    criteria = (Criterion(id="all", text=text, check="agents_completed", on_failure="ask"),)
    world = World(tmp_path, spec_of(criteria=criteria), agents={"a": talks, "b": breaks})
    found = world.consolidated(world.run())
    page = is_safe(show(world.checked[-1]).html)
    assert ("not passed" in page.words, text in page.words, "missing: b" in page.words) == (True, True, True)
    page = is_safe(show(found).html)
    for word in ("crashed", "reported", "CRITICAL", text):
        assert word in page.words


def test_what_cannot_be_shown_says_so() -> None:
    for thing in (object(), "text", [object()], 7):
        with pytest.raises(TypeError, match="show"):
            show(thing)
    assert "nothing" in show([]).html


def test_the_drawing_has_every_station_and_label() -> None:
    from assent.graphs import par

    page = is_safe(draw("par").html)
    for word in ("plan", "risk assessment", "approval", "execute", "rollback", "consolidate", "results", *map(str, (*par.AFTER_RISK, *par.AFTER_APPROVAL, *par.AFTER_EXECUTE))):
        assert word in page.words, word
    with pytest.raises(NotFound, match="no graph"):
        draw("none")


def test_the_phase_is_drawn_too() -> None:
    page = is_safe(draw("phase").html)
    for word in ("dispatch agents", "run agent", "collect", "validate", "one Send each", "passed", "question", "narrower scope"):
        assert word in page.words, word


def test_any_graph_can_be_drawn_and_its_names_are_escaped() -> None:
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(dict)
    graph.add_node("<script>x", lambda state: state)
    graph.add_edge(START, "<script>x")
    graph.add_edge("<script>x", END)
    assert "<script>x" in is_safe(draw(graph.compile()).html).words


def test_follow_waits_for_the_run_to_rest(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": "LOW"}), wait=False)
    assert follow(run, timeout_s=30).status == "completed"


# --- controls -------------------------------------------------------------------------------------------------------------------------------


def test_without_widgets_the_calls_are_named(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    words = Page(controls(runtime, run.requests[0].id, widgets=False).html).words
    for verdict in ("approve", "reject", "edit"):
        assert f'runtime.decide("{run.requests[0].id}", "{verdict}"' in words


def panel(runtime: Runtime, request: Any) -> Any:
    return controls(runtime, request, widgets=extra("ipywidgets")).assent


def press(found: Any, word: str) -> None:
    next(button for button in found.buttons if button.description == word).click()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_approve_reject_and_edit_by_button(door: Door, recorder: Recorder) -> None:
    runtime = door("lena")
    first, second, third = (runtime.start(recorded(name)) for name in ("a", "b", "c"))
    found = panel(runtime, first.requests[0])
    found.reason.value = "looks right"
    press(found, "approve")
    assert (first.status, first.requests[0].decisions[0].reason, first.requests[0].decisions[0].actor.id) == ("completed", "looks right", "lena")
    assert "completed" in found.said.value
    # Where a notebook is only looked at, no widget is drawn; the question and the calls stand in its place.
    bundle = found.whole._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(bundle)
    is_safe(bundle["text/html"])
    press(panel(runtime, second.requests[0]), "reject")
    found = panel(runtime, third.requests[0])
    found.draft.value = "1: {args: {effect: edited, level: LOW}}"
    press(found, "edit")
    assert (second.status, third.status, recorder.names) == ("rejected", "completed", ["a", "edited"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_button_cannot_do_what_the_actor_may_not(door: Door, recorder: Recorder) -> None:
    runtime = door("guest")
    run = runtime.start(recorded("<b>a</b>"))
    found = panel(runtime, run.requests[0])
    press(found, "approve")
    assert (run.status, recorder.names, run.requests[0].decisions) == ("awaiting_approval", [], ())
    is_safe(found.said.value)
    assert "not recorded" in found.said.value
    assert not found.buttons[0].disabled


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_panel_of_a_question_that_moved_on_answers_nothing(door: Door, recorder: Recorder) -> None:
    runtime = door("lena")
    run = runtime.start(recorded("a"))
    found = panel(runtime, run.requests[0])
    runtime.decide(run.requests[0].id, "reject")
    press(found, "approve")
    assert (run.status, recorder.names, all(button.disabled for button in found.buttons)) == ("rejected", [], True)
    assert "assent" not in dir(controls(runtime, run.requests[0]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("draft", ["{", "!!python/object/apply:os.system ['true']", "1: 2", "9: {args: {}}", "", "1: {tool: nothing}"])
def test_a_draft_that_is_no_edit_is_refused(door: Door, recorder: Recorder, draft: str) -> None:
    runtime = door("lena")
    run = runtime.start(recorded("a"))
    found = panel(runtime, run.requests[0])
    found.draft.value = draft
    press(found, "edit")
    assert (run.status, recorder.names) == ("awaiting_approval", [])
    assert "not recorded" in found.said.value
