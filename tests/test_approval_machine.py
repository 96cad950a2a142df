"""Six actors, a clock that jumps, edits, expiry, grants, revocations, role changes: nothing runs that the rules do not permit, and nothing they permit is refused.

`approval_world.World` does every action through real doors and in a model of the rules; hypothesis chooses the actions. Deadlines are hit one second
before, on the second and one second after. `pytest -m slow` runs the long version.
"""

from __future__ import annotations

import inspect
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from assent.tests.approval_world import ABE, ACTORS, ANN, BOT, ED, LEVELS, OTTO, RITA, Asked, Course, Work, World

SEEN: Counter[str] = Counter()
"""What the machine reached, over all examples of this process."""
_PICK = st.integers(0, 1_000)
_LEVEL = st.sampled_from(("LOW", "MEDIUM", "HIGH", "HIGH", "CRITICAL"))
_WORK = st.tuples(_LEVEL, st.sampled_from((0, 0, 0, 600, 3600)))
_ROLES = st.sampled_from(((), ("developer",), ("lead",), ("admin",), ("lead", "admin"), ("developer", "lead", "admin")))
CHANGES: tuple[dict[str, Any], ...] = (
    {"preset": "solo"}, {"preset": "team"}, {"auto_approve": "none"}, {"auto_approve": "LOW"}, {"execute_within_s": 600}, {"execute_within_s": 3600},
    {"decide_within_s": 1800}, {"decide_within_s": 7200}, {"window": (8, 18)}, {"window": None}, {"backup_roles": ("developer",)}, {"backup_roles": ()},
    {"denials": {"LOW": 1, "MEDIUM": 2, "HIGH": 2, "CRITICAL": 1}}, {"denials": dict.fromkeys(LEVELS, 1)},
    {"stages": {"HIGH": ((("lead",), 1), (("admin",), 1))}}, {"stages": {"HIGH": ((("lead", "admin"), 2),)}}, {"stages": {"HIGH": ((("lead", "admin"), 1),)}},
    {"stages": {"MEDIUM": ((("developer", "lead"), 1), (("lead", "admin"), 2))}}, {"stages": {"MEDIUM": ((("developer", "lead", "admin"), 1),)}},
)  # fmt: skip
_RULES = st.sampled_from(CHANGES)


class Approvals(RuleBasedStateMachine):
    """The life of requests, as six actors and the clock make it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(seen=self._saw)

    def _saw(self, what: str) -> None:
        SEEN[what] += 1
        if currently_in_test_context():
            event(what)

    def teardown(self) -> None:
        """Close the doors."""
        self.world.close()

    # --- choices -----------------------------------------------------------------------------------------------------------------------

    def _asked(self, pick: int) -> tuple[Course, Asked]:
        every = [(run, asked) for run in self.world.runs for asked in run.asked]
        waiting = [one for one in every if one[1].status == "open"]
        # Mostly what is open; settled questions are answered as well, by people who come too late.
        return waiting[pick % len(waiting)] if waiting and pick % 4 else every[pick % len(every)]

    def _works(self, works: list[tuple[str, int]]) -> list[Work]:
        return [Work(self.world.effect(), level, takes_s) for level, takes_s in works]

    # --- people ------------------------------------------------------------------------------------------------------------------------

    @rule(who=st.sampled_from((RITA, RITA, RITA, BOT, ANN, ED, OTTO)), works=st.lists(_WORK, min_size=1, max_size=3), dual=st.integers(0, 5))
    def ask(self, who: str, works: list[tuple[str, int]], dual: int) -> None:
        """Ask for a plan."""
        self.world.start(who, self._works(works), dual=dual == 0)

    @precondition(lambda self: any(run.asked for run in self.world.runs))
    @rule(pick=_PICK, who=st.sampled_from(ACTORS), verdict=st.sampled_from(("approve", "approve", "reject")), reason=st.sampled_from(("seen", "seen", " ")), resume=st.booleans())
    def answer(self, pick: int, who: str, verdict: str, reason: str, resume: bool) -> None:
        """Answer something, whoever one is."""
        run, asked = self._asked(pick)
        self.world.answer(run, asked, who, verdict, reason=reason, resume=resume)

    @precondition(lambda self: bool(self.world.answerable()))
    @rule(pick=_PICK, resume=st.sampled_from((True, True, False)))
    def approve(self, pick: int, resume: bool) -> None:
        """Approve something that one may approve."""
        found = self.world.answerable()
        run, asked, who = found[pick % len(found)]
        self.world.answer(run, asked, who, "approve", resume=resume)

    @precondition(lambda self: any(run.asked for run in self.world.runs))
    @rule(pick=_PICK, who=st.sampled_from((ED, ED, ANN, OTTO, BOT, RITA)), works=st.lists(_WORK, min_size=1, max_size=2), back=st.booleans())
    def edit(self, pick: int, who: str, works: list[tuple[str, int]], back: bool) -> None:
        """Change a plan, at times to what it was before."""
        run, asked = self._asked(pick)
        known = self.__dict__.setdefault("versions", {}).setdefault(run.id, [])
        before = list(known)
        if run.works not in known:
            known.append(run.works)
        self.world.edit(run, asked, who, before[pick % len(before)] if back and before else self._works(works))

    @precondition(lambda self: bool(self.world.runs))
    @rule(pick=_PICK)
    def resume(self, pick: int) -> None:
        """Look at a run again; those that are under way first."""
        under_way = [run for run in self.world.runs if run.phase == "running"] or self.world.runs
        self.world.resume(under_way[pick % len(under_way)])

    @precondition(lambda self: bool(self.world.runs))
    @rule(pick=_PICK, who=st.sampled_from((RITA, ANN)))
    def cancel(self, pick: int, who: str) -> None:
        """End a run, now and then."""
        if pick % 3 == 0:
            self.world.cancel(self.world.runs[pick % len(self.world.runs)], who)

    @precondition(lambda self: bool(self.world.runs))
    @rule(pick=_PICK)
    def poke(self, pick: int) -> None:
        """Go to the ledger behind everybody's back."""
        self.world.poke(self.world.runs[pick % len(self.world.runs)])

    @rule(
        who=st.sampled_from(ACTORS), level=_LEVEL, highest=st.sampled_from(("MEDIUM", "HIGH", "HIGH")), uses=st.sampled_from((1, 1, 2, 5)),
        valid_for_s=st.sampled_from((600, 3600, 7200)), requester=st.sampled_from(("", "", RITA, BOT)),
    )  # fmt: skip
    def grant(self, who: str, level: str, highest: str, uses: int, valid_for_s: int, requester: str) -> None:
        """Allow something in advance."""
        self.world.grant(who, level, highest=highest, uses=uses, valid_for_s=valid_for_s, requester=requester)

    @precondition(lambda self: bool(self.world.grants))
    @rule(pick=_PICK, who=st.sampled_from(ACTORS))
    def revoke(self, pick: int, who: str) -> None:
        """End a grant."""
        self.world.revoke(self.world.grants[pick % len(self.world.grants)], who)

    @initialize(first=st.lists(_RULES, max_size=3), narrow=st.booleans())
    def begin(self, first: list[dict[str, Any]], narrow: bool) -> None:
        """Begin under some rules; at times everybody holds one role only."""
        for changed in first:
            self._change(changed)
        if narrow:
            self.world.reconfigure(roles=self.world.rules.roles | {ANN: ("lead",), ABE: ("admin",), ED: ("lead",)})

    @precondition(lambda self: self._is_worth_it)
    @rule(who=st.sampled_from((ED, ANN, ABE, RITA)), roles=_ROLES)
    def change_roles(self, who: str, roles: tuple[str, ...]) -> None:
        """Give somebody other roles."""
        self.world.reconfigure(roles=self.world.rules.roles | {who: roles})

    @precondition(lambda self: self._is_worth_it)
    @rule(changed=_RULES)
    def change_rules(self, changed: dict[str, Any]) -> None:
        """Open the home again under other rules."""
        self._change(changed)

    @property
    def _is_worth_it(self) -> bool:
        # Other rules only matter to what is under way.
        return any(run.phase != "over" for run in self.world.runs)

    def _change(self, changed: dict[str, Any]) -> None:
        stages = {"stages": self.world.rules.stages | changed["stages"]} if "stages" in changed else {}
        self.world.reconfigure(**(changed | stages))

    # --- what happens between an approval and the step -----------------------------------------------------------------------------------

    @precondition(lambda self: bool(self.world.answerable()))
    @rule(pick=_PICK)
    def approve_and_hold(self, pick: int) -> None:
        """Let everybody whom it takes approve, and go on with the run later."""
        run = self.world.answerable()[pick % len(self.world.answerable())][0]
        while found := [(asked, who) for one, asked, who in self.world.answerable() if one is run]:
            self.world.answer(run, *found[pick % len(found)], "approve", resume=False)

    @precondition(lambda self: bool(self._held()))
    @rule(pick=_PICK, off=st.sampled_from((-1, 0, 1)))
    def go_on_at_a_deadline(self, pick: int, off: int) -> None:
        """Go on with what is approved just before, on or after the end of the approval."""
        run = self._held()[pick % len(self._held())]
        until = self.world.approved_until(run)
        if until is not None:
            self.world.clock.at = until + timedelta(seconds=off)
            self._saw(f"a deadline at {off:+d}")
        self.world.resume(run)

    @precondition(lambda self: bool(self._held()))
    @rule(pick=_PICK, roles=_ROLES)
    def change_an_approvers_roles(self, pick: int, roles: tuple[str, ...]) -> None:
        """Change the roles of somebody who approved what did not run yet, then go on with it."""
        run = self._held()[pick % len(self._held())]
        people = [answer.who for asked in run.asked for answer in asked.answers if answer.verdict == "approve"]
        if people:
            self.world.reconfigure(roles=self.world.rules.roles | {people[pick % len(people)]: roles})
        self.world.resume(run)

    @precondition(lambda self: bool(self._held()))
    @rule(pick=_PICK, changed=_RULES)
    def change_rules_and_go_on(self, pick: int, changed: dict[str, Any]) -> None:
        """Change the rules after the approval, then go on."""
        run = self._held()[pick % len(self._held())]
        self._change(changed)
        self.world.resume(run)

    @precondition(lambda self: any(run.open is not None and run.open.answers for run in self.world.runs))
    @rule(pick=_PICK)
    def change_ones_mind(self, pick: int) -> None:
        """Answer once more, and differently."""
        found = [(run, run.open, answer) for run in self.world.runs if run.open is not None for answer in run.open.answers]
        run, asked, before = found[pick % len(found)]
        self.world.answer(run, asked, before.who, "approve" if before.verdict == "reject" else "reject")

    @precondition(lambda self: bool(self._open()))
    @rule(pick=_PICK, level=_LEVEL)
    def edit_and_approve(self, pick: int, level: str) -> None:
        """Edit a plan and approve the edit oneself."""
        run, asked = self._open()[pick % len(self._open())]
        self.world.edit(run, asked, ED, self._works([(level, 0)]))
        if run.open is not None:
            self.world.answer(run, run.open, ED, "approve")

    @precondition(lambda self: bool(self._open()))
    @rule(pick=_PICK, off=st.sampled_from((-1, 0, 1)))
    def let_the_backup_answer(self, pick: int, off: int) -> None:
        """Wait until just before, on or after the time of the backup, then let somebody of the backup answer."""
        run, asked = self._open()[pick % len(self._open())]
        self.world.reconfigure(backup_roles=("developer",), roles=self.world.rules.roles | {ABE: ("developer",)})
        self.world.clock.at = asked.opened_at + timedelta(seconds=self.world.rules.backup_after_s + off)
        self.world.sweep()
        self.world.answer(run, asked, ABE, "approve")

    @precondition(lambda self: bool(self._open()))
    @rule(pick=_PICK, who=st.sampled_from((ANN, ED, ABE)))
    def lose_a_role_and_be_outvoted(self, pick: int, who: str) -> None:
        """Reject, lose the role, and let somebody else reject as well."""
        run, asked = self._open()[pick % len(self._open())]
        self.world.answer(run, asked, who, "reject")
        self.world.reconfigure(roles=self.world.rules.roles | {who: ()})
        self.world.answer(run, asked, ABE if who == ANN else ANN, "reject")

    def _open(self) -> list[tuple[Course, Asked]]:
        return [(run, run.open) for run in self.world.runs if run.open is not None]

    @precondition(lambda self: bool(self._held()))
    @rule(pick=_PICK)
    def stop_what_is_held(self, pick: int) -> None:
        """End a run that was approved and did not go on yet."""
        self.world.cancel(self._held()[pick % len(self._held())], OTTO)

    @rule(pick=_PICK, level=st.sampled_from(("MEDIUM", "HIGH")), highest=st.sampled_from(("MEDIUM", "HIGH", "HIGH")), off=st.sampled_from((None, -1, 0, 1)))
    def ask_at_the_end_of_a_grant(self, pick: int, level: str, highest: str, off: int | None) -> None:
        """Allow a command, up to some level, and ask for it, and for something that may not flow by itself, as the grant ends."""
        found = self.world.grant((ANN, ABE, ED)[pick % 3], level, highest=highest, uses=3)
        if found is not None and off is not None:
            self.world.clock.at = found.expires_at + timedelta(seconds=off)
            self._saw(f"a deadline at {off:+d}")
        self.world.start(RITA, self._works([(level, 0)] + [("LOW", 0)] * (pick % 2)))

    # --- asked again -------------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: bool(self._held()))
    @rule(pick=_PICK, edits=st.booleans())
    def ask_again(self, pick: int, edits: bool) -> None:
        """Take an approver's role, let others answer the next question, perhaps about other bytes, then exchange who holds a role."""
        run = self._held()[pick % len(self._held())]
        first = [answer.who for asked in run.asked for answer in asked.answers if answer.verdict == "approve"]
        if not first:
            return
        roles = self.world.rules.roles
        lost = first[pick % len(first)]
        self.world.reconfigure(roles=roles | {lost: ()})
        self.world.resume(run)
        if run.open is not None and edits:
            self.world.edit(run, run.open, ED, self._works([(run.works[0].level, 0)]))
        while found := [(asked, who) for one, asked, who in self.world.answerable() if one is run]:
            self.world.answer(run, *found[pick % len(found)], "approve", resume=False)
        second = [answer.who for answer in run.asked[-1].answers if answer.verdict == "approve" and answer.who != lost]
        others = dict.fromkeys(second[: 1 + pick % 2], ())
        self.world.reconfigure(roles=self.world.rules.roles | {lost: roles[lost]} | others)
        self.world.resume(run)

    @rule(pick=_PICK)
    def edit_there_and_back(self, pick: int) -> None:
        """Approve in part, edit, edit back, ask for less, approve, and lose the role."""
        self._change({"stages": {"HIGH": ((("lead", "admin"), 2),)}})
        run = self.world.start(RITA, self._works([("HIGH", 0)]))
        for who in (ANN, None, ABE):
            if run.open is None:
                return
            if who is not None:
                self.world.answer(run, run.open, who, "approve", resume=False)
                self._change({"stages": {"HIGH": ((("lead", "admin"), 1),)}})
                continue
            first = run.works
            for works in (self._works([("HIGH", 0)]), first):
                if run.open is not None:
                    self.world.edit(run, run.open, ED, works)
        self.world.reconfigure(roles=self.world.rules.roles | {(ABE, ANN)[pick % 2]: ()})
        self.world.resume(run)

    @rule(pick=_PICK, who=st.sampled_from((ED, ANN)))
    def run_out_in_the_middle(self, pick: int, who: str) -> None:
        """Take so long over a step that the approval runs out before the next, then try to edit."""
        run = self.world.start(RITA, self._works([("HIGH", 3600), ("HIGH", 0)]))
        while found := [(asked, one) for course, asked, one in self.world.answerable() if course is run and not run.begun]:
            self.world.answer(run, *found[pick % len(found)], "approve")
        if run.open is not None:
            self.world.edit(run, run.open, who, self._works([("HIGH", 0)]))

    @rule(pick=_PICK, mind=st.booleans(), swap=st.booleans())
    def go_through_a_chain(self, pick: int, mind: bool, swap: bool) -> None:
        """Answer in the order of a chain, perhaps after another mind, then perhaps exchange the roles."""
        self._change({"stages": {"HIGH": ((("lead",), 1), (("admin",), 1))}})
        self.world.reconfigure(roles=self.world.rules.roles | {ANN: ("lead",), ABE: ("admin",)}, denials=self.world.rules.denials | {"HIGH": 2})
        run = self.world.start(RITA, self._works([("HIGH", 0)]))
        answers = [(ABE, "reject")] * mind + [(ANN, "approve"), (ABE, "approve")]
        for who, verdict in answers:
            if run.open is not None:
                self.world.answer(run, run.open, who, verdict, resume=not swap)
        if swap:
            self.world.reconfigure(roles=self.world.rules.roles | {ANN: ("admin",), ABE: ("lead",)})
            self.world.resume(run)

    @rule(pick=_PICK, level=st.sampled_from(("MEDIUM", "HIGH")))
    def approve_oneself_while_one_may(self, pick: int, level: str) -> None:
        """Approve what one asked for oneself, then separate the duties."""
        self._change({"preset": "solo"})
        run = self.world.start(RITA, self._works([(level, 0)]))
        if run.open is not None:
            self.world.answer(run, run.open, RITA, "approve", resume=False)
        self._change({"preset": "team"})
        self.world.resume(run)

    @rule(pick=_PICK, level=st.sampled_from(("MEDIUM", "HIGH")), uses=st.integers(1, 3), steps=st.integers(1, 3), late=st.booleans(), who=st.sampled_from((ANN, ABE, ED, RITA)))
    def ask_for_what_is_granted(self, pick: int, level: str, uses: int, steps: int, late: bool, who: str) -> None:
        """Allow a command, then ask for it: at once, or so that the grant may be gone before the window opens."""
        if late and self.world.rules.window is None:
            self._change({"window": (8, 18)})
        if late:
            self.world.clock.at = self.world.now.replace(hour=18 + pick % 5, minute=0) + timedelta(days=pick % 2)
        found = self.world.grant(who, level, uses=uses, valid_for_s=600 if pick % 2 else 3 * 86_400)
        self.world.start((RITA, BOT, ED)[pick % 3], self._works([(level, 0)] * steps))
        if found is not None and late and pick % 3 == 0:
            self.world.revoke(found, who)
        if late:
            self.world.clock.at = self.world.now.replace(hour=8, minute=0) + timedelta(days=1, seconds=pick % 3 - 1)
            self.world.sweep()

    def _held(self) -> list[Course]:
        return [run for run in self.world.runs if run.phase == "running"]

    # --- time --------------------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: bool(self.world.deadlines()))
    @rule(pick=_PICK, off=st.sampled_from((-1, 0, 1)))
    def stand_at_a_deadline(self, pick: int, off: int) -> None:
        """Set the clock to just before, on, or just after a deadline."""
        found = self.world.deadlines()
        self.world.clock.at = found[pick % len(found)] + timedelta(seconds=off)
        self._saw(f"a deadline at {off:+d}")

    @rule(minutes=st.sampled_from((1, 10, 25, 120, 700, 3 * 1440)))
    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.world.clock.advance(minutes=minutes)

    @precondition(lambda self: self._is_worth_it)
    @rule(minutes=st.sampled_from((1, 30, 300, 10_000)))
    def set_back(self, minutes: int) -> None:
        """Set the clock back."""
        self.world.clock.advance(minutes=-minutes)
        self._saw("the clock was set back")

    @rule()
    def sweep(self) -> None:
        """Do what is due."""
        self.world.sweep()


QUICK = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True,
)  # fmt: skip
Approvals.TestCase.settings = QUICK
TestApprovals = Approvals.TestCase


@pytest.fixture
def seen() -> Iterator[Counter[str]]:
    """What is reached while the test runs."""
    before = Counter(SEEN)
    SEEN.clear()
    yield SEEN
    SEEN.update(before)


def walk(seed: int, worlds: int, steps: int) -> None:
    """Call the machine's actions at random, each as likely as any other, without hypothesis: the same seed is the same walk with every version of it."""
    one = random.Random(seed)
    actions = [name for name, found in vars(Approvals).items() if callable(found) and not name.startswith("_") and name not in ("teardown", "begin")]
    for _ in range(worlds):
        machine = Approvals()
        try:
            machine.begin(first=[], narrow=False)
            for _ in range(steps):
                draws: dict[str, Any] = {
                    "pick": one.randrange(1000), "who": one.choice((RITA, ED, ANN, ABE, ANN, BOT, OTTO)), "verdict": one.choice(("approve", "approve", "reject")), "reason": "seen",
                    "resume": one.random() < 0.7, "works": [(one.choice(("LOW", "MEDIUM", "HIGH", "CRITICAL")), one.choice((0, 0, 600, 3600))) for _ in range(one.randint(1, 3))],
                    "dual": one.randrange(6), "back": one.random() < 0.5, "level": one.choice(("MEDIUM", "HIGH")), "highest": one.choice(("MEDIUM", "HIGH")), "uses": one.randint(1, 3),
                    "valid_for_s": one.choice((600, 3600, 7200)), "requester": one.choice(("", "", RITA)), "roles": one.choice(((), ("lead",), ("admin",), ("lead", "admin"))),
                    "changed": one.choice(CHANGES), "off": one.choice((-1, 0, 1)), "minutes": one.choice((1, 10, 25, 120)), "steps": one.randint(1, 3), "late": one.random() < 0.5,
                    "edits": one.random() < 0.5, "mind": one.random() < 0.5, "swap": one.random() < 0.5,
                }  # fmt: skip
                action = getattr(machine, one.choice(actions))
                if all(holds(machine) for holds in getattr(action, RULE_MARKER).preconditions):
                    action(**{name: draws[name] for name in inspect.signature(action).parameters})
        finally:
            machine.teardown()


def test_a_walk_with_a_fixed_seed_reaches_what_this_is_about(seen: Counter[str]) -> None:
    """A machine that never gets anything executed proves nothing. This one has to get all of this, each time."""
    walk(2026, worlds=60, steps=30)
    executed = sum(number for what, number in seen.items() if what.startswith("an execution"))
    assert executed >= 100, seen
    least = {
        "an execution that was approved": 50, "an execution that was granted": 10, "an execution that flows": 5, "a question expired": 10, "a plan was edited": 10,
        "the rules were changed": 50, "the clock was set back": 5, "a deadline at -1": 5, "a deadline at +0": 5, "a deadline at +1": 5,
        "an approval was missing at dispatch": 10, "an approval ran out": 5, "a run waited for its window": 5, "the backup was called": 3,
    }  # fmt: skip
    assert not {what: (seen[what], number) for what, number in least.items() if seen[what] < number}, seen


@pytest.mark.slow
def test_the_machine_for_long() -> None:
    """100,000 steps."""
    run_state_machine_as_test(Approvals, settings=settings(QUICK, max_examples=2_000, stateful_step_count=50))
