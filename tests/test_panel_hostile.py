"""What an approver sees on the panel, in the inbox and in a notice: nothing hidden, nothing that acts, nothing that reads two ways.

Every code point goes through every way in which text reaches a screen: a sample of all and whole blocks of the worst by default, all 1,114,112 with
`pytest -m slow`, where 100,000 hostile strings go through the whole panel and a notice as well.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.policies.routing import notices_for
from assent.runtime.cli.lines import begin, block, clean, columns, console, one_line, put, styled
from assent.runtime.cli.panel import Review, footer, panel
from assent.runtime.cli.steps import seen_measures, seen_steps
from assent.runtime.notify.calls import line
from assent.runtime.notify.render import Facts, render
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, authenticated
from assent.schemas.approval import Need, Question, Request, Verdict
from assent.schemas.notice import Route
from assent.schemas.plan import Call, Judgement, Measure, Plan, Step
from assent.schemas.problem import Context, Problem
from assent.schemas.risk import Level

NOW = FrozenClock()()
OWN = frozenset("│╭╮╰╯─┊→×…≤≥≈•·")
"""What our own frames and sentences are drawn with; of these, texts from outside may hold the symbols, which nothing is drawn like."""
_PASS = frozenset("→×…≤≥≈")
_ESCAPE = re.compile(r"\\(u\{([0-9A-F]{4,6})\}|[nrt\\])")
_WORST = (
    *range(0x620), *range(0x180B, 0x1810), *range(0x1160, 0x1180), *range(0x2000, 0x2070), *range(0x2190, 0x2200), *range(0x2264, 0x2266), *range(0x2800, 0x2802),
    *range(0x2500, 0x2580), *range(0x3000, 0x3002), 0x3164, *range(0xD7F0, 0xE010), *range(0xFE00, 0xFE10), *range(0xFEFE, 0xFF65), *range(0xFFA0, 0xFFA1), *range(0xFFE0, 0x10000),
    *range(0x1D173, 0x1D17B), *range(0x1F1E6, 0x1F200), *range(0xE0000, 0xE01F0), *range(0x10FFF0, 0x110000),
)  # fmt: skip


def unshown(text: str) -> str:
    """Read a shown text back."""
    named = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    return _ESCAPE.sub(lambda found: chr(int(found[2], 16)) if found[2] else named[found[1]], text)


def acts(char: str) -> bool:
    """Tell whether a character of a screen could hide, move, join or reorder."""
    if char.isascii():
        return not char.isprintable() and char != "\n"
    if char in OWN:
        return False
    # Letters of one's own script may stand in prose: assigned, composed, left to right.
    return unicodedata.category(char) not in ("Ll", "Lu", "Lo", "Lt", "Lm", "Mn", "Mc") or unicodedata.bidirectional(char) in ("R", "AL") or not char.isprintable()


def _code_points(step: int) -> Iterator[str]:
    yield from map(chr, sorted({*_WORST, *range(0, 0x110000, step)}))


WAYS: dict[str, Callable[[str], str]] = {
    "a line of the panel": lambda text: one_line(text, 10_000), "a detail of the panel": lambda text: "\\n".join(block(text + ".", most=0))[:-1], "a notice": lambda text: line(text, (), 10_000),
    "an error": lambda text: clean(text).replace("\n", "\\n"),
}  # fmt: skip


def _every_code_point_is_itself(points: Iterable[str], show: Callable[[str], str]) -> None:
    seen: dict[str, str] = {}
    for char in points:
        shown = show(f"<{char}>")
        assert all(one in _PASS or (one.isascii() and one.isprintable()) for one in shown), (hex(ord(char)), shown)
        assert unshown(shown) == f"<{char}>", hex(ord(char))
        assert seen.setdefault(shown, char) == char, (hex(ord(char)), hex(ord(seen[shown])))


@pytest.mark.parametrize("way", WAYS)
def test_a_code_point_is_shown_as_itself_and_no_other(way: str) -> None:
    _every_code_point_is_itself(_code_points(211), WAYS[way])


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_code_point_is_shown_as_itself_and_no_other(way: str) -> None:
    _every_code_point_is_itself(map(chr, range(0x110000)), WAYS[way])


@pytest.mark.parametrize("show", [lambda text: one_line(text, 10_000, prose=True), lambda text: "\n".join(block(text, most=0, prose=True)), lambda text: clean(text, prose=True)])
def test_prose_lets_letters_stand_and_nothing_that_acts(show: Callable[[str], str]) -> None:
    for char in _code_points(211):
        shown = show(f"word {char}{char} a{char}b")
        assert not any(acts(one) for one in shown), (hex(ord(char)), shown)


# --- the whole panel --------------------------------------------------------------------------------------------------------------------

NASTY = st.one_of(
    st.text(max_size=60), st.text(st.sampled_from("\x00\x07\x08\t\n\r\x1b\x7f\x85\u061c\u200b\u200e\u200f\u2028\u202e\u2066\u2069\u3164\ufeff\\[]{}u│┊…→•m;0"), max_size=60),
    st.sampled_from((
        "\x1b[2J\x1b[H", "\x1b]0;approved\x07", "\r\nPROPOSED ACTIONS\n  1. [LOW] nothing", "│ Risk      [LOW] │", "\u202ecod.exe", "a" * 5_000, " " * 5_000 + "; rm -rf /", "\n" * 500 + "rm -rf /",
        "[bold red]markup[/]", "\\[5 of 9 characters not shown\\]", "\\u{202E}", "NOT ALL OF IT IS SHOWN", "IN THE WORDS OF THE AUTHOR", "раураl", "Grüße", "日本語", "שלום", "🏳️‍🌈", "e\u0301" * 40,
    )),
)  # fmt: skip


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A door for everything that is shown here; nothing is run."""
    folder: Path = tmp_path_factory.mktemp("panel")
    (folder / "workspace").mkdir()
    with Runtime(folder / "home", workspace=folder / "workspace", config={"actors": {"lena": ["lead"]}}, clock=FrozenClock(), actor=authenticated("lena")) as opened:
        yield opened


def asked(plan: Plan, **more: Any) -> Request:
    """Return a question about a plan."""
    given: dict[str, Any] = {
        "id": "req_0123456789abcdef", "run_id": "run_0123456789abcdef", "kind": Question.PLAN, "digest": plan.digest, "risk": Level.HIGH, "options": (Verdict.APPROVE, Verdict.REJECT),
        "need": Need(roles=("lead",)), "requester": "dora", "opened_at": NOW, "decide_by": NOW,
    }  # fmt: skip
    return Request(**{**given, **more})


def plan_of(
    command: str = "true", path: str = "a.txt", content: str = "x", title: str = "t", words: str = "", author: str = "", system: str = "s", criterion: str = "c", undo: str = "true",
) -> Plan:
    """Return a plan that holds these texts wherever a text of their kind can be."""
    return Plan(
        problem=Problem(title=title if title.strip() else "t", description=words, context=Context(affected_systems=(system or "s",)), success_criteria=(criterion or "c",)), intent=words, author=author,
        workflow_id=system, judgement=Judgement(mitigation=words),
        steps=(
            Step(step=1, tool="shell", args={"command": command or "true"}, description=words, undo=Call(tool="shell", args={"command": undo or "true"})),
            Step(step=2, tool="files", args={"operation": "write", "path": path or "a", "content": content}, rollback_plan=words),
        ),
        measures=(Measure(criterion=criterion or "c", tool="shell", args={"command": command or "true"}, read="exit_code"),),
    )  # fmt: skip


def shown(runtime: Runtime, plan: Plan, width: int = 120, **more: Any) -> tuple[Review, list[str]]:
    """Return a review and the lines of its panel on a screen of this width."""
    risk, place = runtime.ledger.risk(plan), runtime.place("run_0123456789abcdef")
    review = Review(asked(plan, **more), plan, risk, seen_steps(plan, risk, runtime.tools, place), seen_measures(plan, risk, runtime.tools, place), ())
    stream = io.StringIO()
    screen = console(stream)
    screen.width = width
    screen.print(panel(review))
    put(screen, footer(review))
    return review, stream.getvalue().split("\n")


_HEADINGS = ("PROPOSED ACTIONS", "HOW SUCCESS IS MEASURED", "RISK FACTORS", "IN THE WORDS OF THE AUTHOR", "NOT ALL OF IT IS SHOWN")


def headings(lines: list[str]) -> list[str]:
    """Return the headings of a panel in their order, where a heading stands."""
    return [heading for text in lines for heading in _HEADINGS if text.startswith(f"│  {heading}")]


TEXTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("command", "path", "content", "title", "words", "author", "system", "criterion", "undo"), NASTY))
ENCODABLE = TEXTS.filter(lambda texts: not any(re.search("[\ud800-\udfff]", text) for text in texts.values()))


def _panel_holds(runtime: Runtime, texts: dict[str, str], width: int) -> None:
    if "\x00" in texts.get("command", "") + texts.get("undo", ""):
        texts = {name: text.replace("\x00", "") for name, text in texts.items()}
    plan = plan_of(**texts)
    review, lines = shown(runtime, plan, width)
    screen = "\n".join(lines)
    assert not [char for char in screen if acts(char)], [hex(ord(char)) for char in screen if acts(char)]
    assert all(text.startswith(("╭", "│", "╰")) or not text for text in lines[:-2]), "nothing breaks out of the frame"
    found = headings(lines)
    assert found[:3] == ["PROPOSED ACTIONS", "HOW SUCCESS IS MEASURED", "RISK FACTORS"], found
    assert found[3:] == ["NOT ALL OF IT IS SHOWN"] * (not review.is_whole) + ["IN THE WORDS OF THE AUTHOR"] * bool(texts.get("words", "").strip()), found
    assert f"[{review.risk.whole.level.value}]" in lines[-2], "the level stands below everything"
    marks = [int(number.replace(",", "")) for number in re.findall(r"\\\[([\d,]+) of [\d,]+ (?:characters|lines)[^\\]* not shown\\\]", screen.replace("\n", ""))]
    assert all(marks), "a mark counts what it hides"


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(ENCODABLE, st.sampled_from((60, 80, 120, 200)))
def test_no_text_breaks_out_of_the_panel_hides_or_forges_a_part_of_it(runtime: Runtime, texts: dict[str, str], width: int) -> None:
    _panel_holds(runtime, texts, width)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ENCODABLE, st.sampled_from((60, 120)))
def test_no_hostile_text_of_a_hundred_thousand_breaks_out_of_the_panel(runtime: Runtime, texts: dict[str, str], width: int) -> None:
    _panel_holds(runtime, texts, width)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("command", "path", "content", "undo")), NASTY, NASTY)
def test_two_plans_that_do_different_things_never_look_the_same(runtime: Runtime, where: str, one: str, other: str) -> None:
    if re.search("[\ud800-\udfff\x00]", one + other):
        return
    first, second = plan_of(**{where: one}), plan_of(**{where: other})
    if first.digest == second.digest:
        return
    (a, seen_a), (b, seen_b) = shown(runtime, first, 200), shown(runtime, second, 200)
    # The footer and the last line hold the digest; what is above it must differ by itself, or say that it does not show everything.
    assert seen_a[:-2] != seen_b[:-2] or not (a.is_whole and b.is_whole)


@pytest.mark.parametrize("padding", [" ", "\n", "\t", "\u200b", "a", "\n\n# harmless\n", "\u3164"])
@pytest.mark.parametrize("size", [10, 200, 5_000, 60_000])
def test_padding_cannot_push_the_dangerous_part_out_of_view(runtime: Runtime, padding: str, size: int) -> None:
    command = "echo " + padding * size + "; rm -rf /"
    review, lines = shown(runtime, plan_of(command=command))
    screen = re.sub(r" *│\n│ *┊ ", "", "\n".join(lines))
    assert "; rm -rf /" in screen or "rm -rf /" in screen
    assert review.risk.whole.level is Level.CRITICAL and "[CRITICAL]" in lines[-2]
    if size >= 5_000:
        assert not review.is_whole and "NOT ALL OF IT IS SHOWN" in screen and re.search(r"of\s*[\d,]+\s*(characters|lines)", screen)


# --- the inbox --------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(NASTY, NASTY)
def test_a_row_of_the_inbox_is_one_row(title: str, requester: str) -> None:
    rows: list[list[str | tuple[str, str]]] = [["req_1", ("HIGH", ""), "plan", "1 h ago", one_line(requester or "r", 30), one_line(title, 120, prose=True)], ["req_2", ("LOW", ""), "plan", "2 h ago", "dora", "plain"]]
    stream = io.StringIO()
    for row in columns(rows):
        put(console(stream), row)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3 and lines[0].startswith("req_1  HIGH") and lines[1].startswith("req_2  LOW ")
    assert not any(acts(char) for char in stream.getvalue())


# --- a notice ---------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(ENCODABLE)
def test_a_notice_says_what_the_panel_says_and_in_the_same_order(runtime: Runtime, texts: dict[str, str]) -> None:
    plan = plan_of(**{name: text.replace("\x00", "") for name, text in texts.items()})
    request = asked(plan)
    (notice,) = notices_for("request.opened", request, [Route(events=("*",), channels=("x",))])
    message = render(Facts(notice, NOW, plan, runtime.ledger.risk(plan), request), sent_at=NOW)
    assert not any(acts(char) for text in message.lines for char in text) and not any("\n" in text for text in message.lines)
    starts = [n for n, text in enumerate(message.lines) if text.startswith("WHAT WILL RUN")]
    words = [n for n, text in enumerate(message.lines) if text.startswith("IN THE WORDS OF THE AUTHOR")]
    assert len(starts) == len(words) == 1 and starts[0] < words[0]
    for text in message.lines[: words[0]]:
        assert text.isascii()
    whole = runtime.ledger.risk(plan)
    for number, risk in enumerate(whole.steps, 1):
        assert any(text.startswith(f"  step {number}: [{risk.level.value}]") for text in message.lines[: words[0]])


def test_a_notice_shows_both_ends_of_a_long_command(runtime: Runtime) -> None:
    plan = plan_of(command="echo " + "\u200b" * 10_000 + "; rm -rf /")
    request = asked(plan)
    (notice,) = notices_for("request.opened", request, [Route(events=("*",), channels=("x",))])
    text = "\n".join(render(Facts(notice, NOW, plan, runtime.ledger.risk(plan), request), sent_at=NOW).lines)
    assert "echo \\u{200B}" in text and "; rm -rf /" in text and re.search(r"\\\[\d+ of 10015 characters not shown; sha256 [0-9a-f]{16}\\\]", text)


def test_a_line_that_is_begun_leaves_its_place_to_the_next() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = console(Terminal())
    begin(screen, styled(("… ", "dim"), "step 1/2"))
    begun = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "step 1/2" in begun and "\n" not in begun
