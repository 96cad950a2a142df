"""A small world in which people ask, answer, edit, grant and wait, and a model of the rules that is written from the rules alone.

Every action is done twice: through real doors (`Runtime`, its ledger, the graph) and in the model. After each, the effects that happened have to be
exactly those that the model permits, in its order: one too many is an unauthorised execution, one missing was wrongly refused. Where each run stands
is compared as well.

The model takes three things from outside: which risk a plan has, the ids that the ledger gave, and when the log's newest entry was written. What it
concludes from them, it concludes itself, from lists of what was done: who may answer, what answers add up to, what expired, what a grant covers.
Deliberately absent: steps that fail or stay in doubt, undo, and crashes; other suites have those.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, RecorderArguments, authenticated
from assent.schemas.dispatch import Dispatch, EffectClass, Receipt
from assent.schemas.errors import IllegalTransition, InvalidDocument, NotAllowed, StaleDecision
from assent.schemas.plan import Plan, RequiredApproval, Step
from assent.schemas.problem import Problem
from assent.tools.tool import Arguments, Place
from assent.tools.toolbox import standard

RITA, ED, ANN, ABE, OTTO, BOT = "rita", "ed", "ann", "abe", "otto", "bot"
ACTORS = (RITA, ED, ANN, ABE, OTTO, BOT)
"""The requester, the editor, two approvers, an outsider without a role, and an agent that holds every role."""
LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
Refusal = Literal["not allowed", "stale"] | None
_ALL = ("developer", "lead", "admin")

@dataclass(frozen=True)
class Work:
    """One step of a plan: what it does, how risky that is, and how long it takes on the frozen clock."""

    effect: str
    level: str = "HIGH"
    takes_s: int = 0

    @property
    def command(self) -> str:
        """What a grant names."""
        return f"do {self.level.lower()}"


class WorkerArguments(RecorderArguments):
    """A recorded effect with a command, so that grants can name it, and a duration."""

    command: str = ""
    takes_s: int = Field(default=0, ge=0)


class Worker(Recorder):
    """A recorder whose calls take time on a frozen clock."""

    Arguments: ClassVar[type[Arguments]] = WorkerArguments

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__()
        self.clock = clock

    def run(self, args: Any, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Have the effect, then let the time pass that it takes."""
        receipt = super().run(args, place, key=key, before=before)
        self.clock.advance(args.takes_s)
        return receipt


@dataclass
class Rules:
    """What is configured. The model reads this, the product reads `as_config`."""

    preset: str = "team"
    auto_approve: str = "LOW"
    roles: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {RITA: _ALL, ED: ("lead", "admin"), ANN: ("lead", "admin"), ABE: ("lead", "admin"), OTTO: (), BOT: _ALL}
    )
    stages: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = field(
        default_factory=lambda: {"LOW": ((_ALL, 1),), "MEDIUM": ((_ALL, 1),), "HIGH": ((("lead", "admin"), 1),), "CRITICAL": ((("admin",), 2),)}
    )
    denials: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEVELS, 1))
    decide_within_s: int = 7200
    execute_within_s: int = 3600
    window: tuple[int, int] | None = None
    """Hours of the day, UTC."""
    backup_roles: tuple[str, ...] = ()
    backup_after_s: int = 1200
    tiers: dict[int, dict[str, Any]] = field(default_factory=dict)

    def as_config(self) -> dict[str, Any]:
        """Return the rules as the product is told them."""
        approvals = {
            level: {"decide_within": f"{self.decide_within_s} seconds", "denials": self.denials[level], "reason_required": level == "CRITICAL"}
            | ({"roles": list(stages[0][0]), "approvals": stages[0][1]} if len(stages) == 1 else {"chain": [{"roles": list(r), "approvals": n} for r, n in stages]})
            for level, stages in self.stages.items()
        }
        return {
            "preset": self.preset, "auto_approve": self.auto_approve, "approvals": approvals, "execute_within": f"{self.execute_within_s} seconds",
            "actors": {name: {"roles": list(roles), "kind": "agent" if name == BOT else "human"} for name, roles in self.roles.items()},
            "windows": [] if self.window is None else [{"from": f"{self.window[0]:02}:00", "to": f"{self.window[1]:02}:00"}],
            "waiting": {"remind_every": "10 minutes", "backup_after": f"{self.backup_after_s} seconds", "backup_roles": list(self.backup_roles)},
            "retention": {"completed": "3650 days", "rejected": "3650 days"}, "tiers": self.tiers,
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What somebody said."""

    who: str
    verdict: str
    reason: str
    at: datetime


@dataclass
class Asked:
    """One question whether a plan may run."""

    id: str
    digest: str
    opened_at: datetime
    decide_by: datetime
    status: str = "open"
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Allowance:
    """One standing grant."""

    id: str
    by: str
    command: str
    highest: str
    uses: int
    requester: str
    given_at: datetime
    expires_at: datetime
    revoked: bool = False


@dataclass
class Course:
    """One run, as the model sees it."""

    id: str
    requester: str
    works: tuple[Work, ...]
    level: str
    dual: bool
    digest: str = ""
    raised: bool = False
    """The plan as a whole is riskier than its worst step."""
    contributors: set[str] = field(default_factory=set)
    phase: str = "planning"
    started_at: datetime = datetime.min
    begun: int = 0
    stop: bool = False
    waits_until: datetime | None = None
    asked: list[Asked] = field(default_factory=list)
    backup: set[str] = field(default_factory=set)

    @property
    def open(self) -> Asked | None:
        """The question that waits."""
        return next((one for one in self.asked if one.status == "open"), None)


def plan_of(works: Sequence[Work], *, dual: bool = False) -> Plan:
    """Return the plan that does these things."""
    steps = tuple(
        Step(step=n, description=work.effect, tool="recorder", args={"effect": work.effect, "level": work.level, "command": work.command, "takes_s": work.takes_s})
        for n, work in enumerate(works, 1)
    )
    return Plan(problem=Problem(title="Do some things"), steps=steps, required_approvals=(RequiredApproval(type="dual_signoff"),) if dual else ())


class World:
    """The doors and the model, side by side."""

    def __init__(self, rules: Rules | None = None, seen: Callable[[str], None] = lambda what: None) -> None:
        """Open an empty home.

        Args:
            seen: told of each thing worth counting.
        """
        # Nothing here is about durability, so the ledger may live in memory; the workspace may not, because the assessor knows that place.
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="assent-world-", dir=memory))
        self.workspace = Path(tempfile.mkdtemp(prefix="assent-work-"))
        self.clock = FrozenClock()
        self.worker = Worker(self.clock)
        self.rules = rules or Rules()
        self.seen = seen
        self.high = self.clock.at
        self.runs: list[Course] = []
        self.grants: list[Allowance] = []
        self.permitted: list[str] = []
        self.used: list[tuple[str, str]] = []
        """One entry for each call that took a grant: the grant and the run."""
        self.count = 0
        self._doors: dict[str, Runtime] = {}
        self.latest = self.clock.at
        """The latest time that the wall clock ever showed."""
        self._entries = 0
        self._replayed: datetime | None = None
        """The clock as the model moves it, while the model runs ahead of the doors."""
        self.compare()

    def close(self) -> None:
        """Close every door and remove the home."""
        self.shut()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.workspace, ignore_errors=True)

    def shut(self) -> None:
        """Close every door."""
        for runtime in self._doors.values():
            runtime.close()
        self._doors.clear()

    def door(self, who: str) -> Runtime:
        """Return the door at which somebody stands."""
        if who not in self._doors:
            self._doors[who] = Runtime(
                self.folder / "home", workspace=self.workspace, config=self.rules.as_config(), clock=self.clock, actor=authenticated(who),
                tools=standard().plus(self.worker),
            )  # fmt: skip
        return self._doors[who]

    # --- the model: what the rules say -------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time that counts: no entry of the log is ever in the future."""
        return max(self._replayed or self.clock.at, self.high)

    def roles(self, who: str) -> set[str]:
        """Return the roles somebody holds now."""
        return set(self.rules.roles.get(who, ()))

    def stages(self, run: Course, *, backup: bool | None = None) -> list[tuple[set[str], int]] | None:
        """Return what it takes; `None`: nobody has to be asked."""
        if run.level == "LOW" and self.rules.auto_approve == "LOW" and not run.dual:
            return None
        found = [(set(roles), number) for roles, number in self.rules.stages[run.level]]
        if run.dual and sum(number for _, number in found) < 2:
            found[-1] = (found[-1][0], 2)
        called = run.digest in run.backup if backup is None else backup
        return [(roles | set(self.rules.backup_roles), number) for roles, number in found] if called else found

    def barred(self, run: Course) -> set[str]:
        """Return who may not approve because they had a hand in it."""
        return set(run.contributors) if self.rules.preset == "team" else set()

    @staticmethod
    def stands(answers: Sequence[Answer]) -> list[Answer]:
        """Return where everybody stands, in the order in which they came to stand there."""
        found: list[tuple[int, Answer]] = []
        for who in {answer.who for answer in answers}:
            own = [n for n, answer in enumerate(answers) if answer.who == who]
            since = len(own) - 1
            while since and answers[own[since - 1]].verdict == answers[own[-1]].verdict:
                since -= 1
            found.append((own[since], answers[own[-1]]))
        return [answer for _, answer in sorted(found, key=lambda one: one[0])]

    def fill(self, run: Course, answers: Sequence[Answer]) -> tuple[int, datetime | None]:
        """Return how many stages the approvals fill, and when the last one that counts was given."""
        stages, barred = self.stages(run) or [(set(self.rules.stages[run.level][0][0]), 1)], self.barred(run) if self.stages(run) else set()
        stage, have, last = 0, 0, None
        for answer in self.stands(answers):
            if answer.verdict != "approve" or answer.who == BOT or answer.who in barred:
                continue
            wanted = stages[min(stage, len(stages) - 1)]
            if self.roles(answer.who) & wanted[0]:
                last = answer.at if last is None else max(last, answer.at)
                have += 1
                if stage < len(stages) and have >= wanted[1]:
                    stage, have = stage + 1, 0
        return stage, last

    def is_rejected(self, run: Course, answers: Sequence[Answer]) -> bool:
        """Tell whether enough people are against it."""
        any_role = {role for roles, _ in self.stages(run) or [(set(self.rules.stages[run.level][0][0]), 1)] for role in roles}
        against = [a for a in self.stands(answers) if a.verdict == "reject" and a.who != BOT and self.roles(a.who) & any_role]
        return len(against) >= (self.rules.denials[run.level] if self.stages(run) else 1)

    def needed(self, run: Course) -> int:
        """Return how many stages there are."""
        return len(self.stages(run) or [None])

    def may_answer(self, run: Course, asked: Asked, who: str, verdict: str, reason: str) -> bool:
        """Tell whether an answer would count, were it given now."""
        if asked.status != "open" or self.now >= asked.decide_by or who == BOT or (verdict == "edit" and run.begun):
            return False
        stages = self.stages(run)
        if verdict in ("approve", "reject") and stages is not None and run.level == "CRITICAL" and not reason.strip():
            return False
        wanted = stages or [(set(self.rules.stages[run.level][0][0]), 1)]
        if verdict == "approve":
            if stages is not None and who in self.barred(run):
                return False
            filled, _ = self.fill(run, [answer for answer in asked.answers if answer.who != who])
            return bool(self.roles(who) & wanted[min(filled, len(wanted) - 1)][0])
        return bool(self.roles(who) & {role for roles, _ in wanted for role in roles})

    def could_alone(self, who: str, level: str) -> bool:
        """Tell whether one approval of this person is enough for a level."""
        stages = self.rules.stages[level]
        return who != BOT and len(stages) == 1 and stages[0][1] == 1 and bool(self.roles(who) & set(stages[0][0]))

    def left(self, grant: Allowance) -> int:
        """Return how many calls a grant still covers."""
        return grant.uses - sum(taken == grant.id for taken, _ in self.used)

    def covered(self, run: Course) -> dict[int, Allowance] | None:
        """Return the grant that each remaining call takes; `None` when the plan does not flow by grants."""
        if run.level == "CRITICAL" or run.dual or run.raised:
            return None
        free = {grant.id: self.left(grant) for grant in self.grants}
        found = {}
        for n, work in enumerate(run.works[run.begun :], run.begun):
            if work.level == "LOW" and self.rules.auto_approve == "LOW":
                continue
            fits = [
                g for g in self.grants
                if not g.revoked and g.given_at <= self.now < g.expires_at and free[g.id] > 0 and g.command == work.command
                and LEVELS.index(work.level) <= LEVELS.index(g.highest) and g.requester in ("", run.requester) and self.could_alone(g.by, work.level)
                and not (self.rules.preset == "team" and g.by in run.contributors)
            ]  # fmt: skip
            if not fits:
                return None
            found[n] = min(fits, key=lambda g: (g.expires_at, g.id))
            free[found[n].id] -= 1
        return found if found or any(by == run.id for _, by in self.used) else None

    def is_hopeless(self, run: Course) -> bool:
        """Tell whether nobody could ever settle it, not even with the backup."""
        if self.rules.preset != "team":
            return False
        places = [roles for roles, number in self.stages(run, backup=True) or [] for _ in range(number)]
        people = [who for who in self.rules.roles if who != BOT and who not in run.contributors]
        return not any(all(self.roles(who) & roles for who, roles in zip(chosen, places, strict=True)) for chosen in permutations(people, len(places)))

    def approved_until(self, run: Course) -> datetime | None:
        """Return when the people's approval runs out; `None` when there is none."""
        found = []
        for asked in run.asked:
            if asked.digest != run.digest or asked.status != "approved" or self.is_rejected(run, asked.answers):
                continue
            filled, last = self.fill(run, asked.answers)
            if filled >= self.needed(run) and last is not None:
                found.append(last + timedelta(seconds=self.rules.execute_within_s))
        return max(found, default=None)

    def next_opening(self) -> datetime:
        """Return when the window opens next; now, when it is open."""
        assert self.rules.window is not None
        opens, closes = self.rules.window
        now = self.now
        if opens <= now.hour < closes:
            return now
        today = now.replace(hour=opens, minute=0, second=0, microsecond=0)
        return today if now < today else today + timedelta(days=1)

    # --- the model: what happens -------------------------------------------------------------------------------------------------------

    def _weigh(self, run: Course) -> None:
        if self.stages(run) is None or self.covered(run) is not None:
            run.phase = "running"
            self._execute(run)
        elif self.is_hopeless(run):
            run.phase = "over"
        else:
            self._ask(run)

    def _ask(self, run: Course) -> None:
        run.phase = "waiting"
        run.asked.append(Asked("", run.digest, self.now, self.now + timedelta(seconds=self.rules.decide_within_s)))

    def _expire(self, run: Course, asked: Asked) -> None:
        asked.status = "expired"
        self.seen("a question expired")
        if run.phase == "waiting" and run.digest == asked.digest:
            run.phase = "over"

    def _drive(self, run: Course) -> None:
        if run.phase == "waiting" and run.open is not None and self.now >= run.open.decide_by:
            self._expire(run, run.open)
        if run.phase == "running":
            self._execute(run)

    def _execute(self, run: Course) -> None:
        run.waits_until = None
        while run.begun < len(run.works):
            if run.stop:
                run.phase = "over"
                return
            if self.rules.window is not None and self.next_opening() > self.now:
                run.waits_until = self.next_opening()
                self.seen("a run waited for its window")
                return
            how = "flows"
            if self.stages(run) is not None:
                until = self.approved_until(run)
                grants = self.covered(run)
                if until is not None and self.now >= until:
                    self.seen("an approval ran out")
                    if run.begun:
                        self._ask(run)
                    else:
                        run.phase = "over"
                    return
                if until is None and grants is None:
                    self.seen("an approval was missing at dispatch")
                    self._ask(run)
                    return
                how = "approved"
                if until is None and grants is not None:
                    how = "granted"
                    if run.begun in grants:
                        self.used.append((grants[run.begun].id, run.id))
            work = run.works[run.begun]
            self.permitted.append(work.effect)
            self.seen(f"an execution that {how if how == 'flows' else 'was ' + how}")
            run.begun += 1
            assert self._replayed is not None
            self._replayed += timedelta(seconds=work.takes_s)
        run.phase = "over"

    def _both(self, real: Callable[[], Any], model: Callable[[], Refusal]) -> None:
        """Do it in the model first, from the clock as it stands, then for real, and compare."""
        self.latest = max(self.latest, self.clock.at)
        self._replayed = self.clock.at
        expected = model()
        after, self._replayed = self._replayed, None
        found: Refusal = None
        said = ""
        try:
            real()
        except (NotAllowed, InvalidDocument) as error:
            found, said = "not allowed", str(error)
        except (StaleDecision, IllegalTransition) as error:
            found, said = "stale", str(error)
        self.latest = max(self.latest, self.clock.at)
        self.compare()
        assert found == expected, f"the model says {expected or 'allowed'}, the product {found or 'allowed'}: {said}"
        assert self.clock.at == after, f"the clock stands at {self.clock.at}, the model says {after}"

    def compare(self) -> None:
        """Hold the world against the model."""
        happened = [effect.name for effect in self.worker.effects_had]
        assert len(set(happened)) == len(happened), f"an effect happened twice: {happened}"
        unauthorised = [name for name in happened if name not in self.permitted]
        assert not unauthorised, f"UNAUTHORISED: {unauthorised}"
        refused = [name for name in self.permitted if name not in happened]
        assert not refused, f"WRONGLY REFUSED: {refused}"
        assert happened == self.permitted, f"another order: {happened}, {self.permitted}"
        ledger = self.door(RITA).ledger
        for event in ledger.events(after=self._entries):
            self._entries = event.seq
            assert self.high <= event.at <= self.latest, f"entry {event.seq} is of {event.at}; the one before of {self.high}, the clock showed {self.latest}"
            self.high = event.at
        for run in self.runs:
            row = ledger.run(run.id)
            stands = "over" if row.status.is_over else "waiting" if row.status.is_waiting else row.status.value
            assert stands == run.phase, f"run {run.id} is {row.status.value}, the model says {run.phase}"
            asked = [one for one in ledger.requests(run.id) if one.kind.value == "plan"]
            assert len(asked) == len(run.asked), f"run {run.id}: {len(asked)} questions, the model says {len(run.asked)}"
            known = {one.id for one in run.asked if one.id}
            for mine in run.asked:
                if not mine.id:
                    (mine.id,) = (one.id for one in asked if one.id not in known)
                    known.add(mine.id)
            for mine, theirs in ((mine, next(one for one in asked if one.id == mine.id)) for mine in run.asked):
                assert theirs.status.value == mine.status, f"{mine.id} is {theirs.status.value}, the model says {mine.status}"
                assert theirs.decide_by == mine.decide_by and theirs.digest == mine.digest

    # --- what people do ----------------------------------------------------------------------------------------------------------------

    def effect(self) -> str:
        """Return a name that no effect had yet."""
        self.count += 1
        return f"e{self.count}"

    def start(self, who: str, works: Sequence[Work], *, dual: bool = False) -> Course:
        """Ask for a plan to be run."""
        plan = plan_of(works, dual=dual)
        door = self.door(who)
        run = Course("", who, tuple(works), "", dual, contributors={who})
        self._judge(run, plan, door)

        def real() -> None:
            run.id = door.start(plan).id

        def model() -> None:
            run.started_at = self.now
            self.runs.append(run)
            self._weigh(run)

        self._both(real, model)
        return run

    def _judge(self, run: Course, plan: Plan, door: Runtime) -> None:
        risk = door.ledger.risk(plan)
        run.digest, run.level = plan.digest, risk.whole.level.value
        run.raised = risk.whole.level.rank > max(one.level.rank for one in risk.steps)
        assert [one.level.value for one in risk.steps] == [work.level for work in run.works]

    def answer(self, run: Course, asked: Asked, who: str, verdict: str, *, reason: str = "seen", resume: bool = True) -> None:
        """Approve or reject."""

        def model() -> Refusal:
            if asked.status == "open" and self.now >= asked.decide_by:
                self._expire(run, asked)
            if asked.status != "open":
                return "stale"
            if not self.may_answer(run, asked, who, verdict, reason):
                return "not allowed"
            asked.answers.append(Answer(who, verdict, reason, self.now))
            if self.is_rejected(run, asked.answers):
                asked.status, run.phase = "rejected", "over"
            elif self.fill(run, asked.answers)[0] >= self.needed(run):
                asked.status, run.phase = "approved", "running"
                if resume:
                    self._execute(run)
            return None

        self._both(lambda: self.door(who).decide(asked.id, verdict, reason=reason, resume=resume), model)

    def edit(self, run: Course, asked: Asked, who: str, works: Sequence[Work]) -> None:
        """Change the plan."""
        plan = plan_of(works, dual=run.dual)

        def model() -> Refusal:
            if asked.status == "open" and self.now >= asked.decide_by:
                self._expire(run, asked)
            if asked.status != "open":
                return "stale"
            if not self.may_answer(run, asked, who, "edit", ""):
                return "not allowed"
            if plan.digest == run.digest:
                return "stale"
            asked.status = "edited"
            run.works = tuple(works)
            run.contributors.add(who)
            self._judge(run, plan, self.door(who))
            self.seen("a plan was edited")
            self._weigh(run)
            return None

        self._both(lambda: self.door(who).decide(asked.id, "edit", edit=plan), model)

    def resume(self, run: Course, who: str = RITA) -> None:
        """Look at a run again."""
        self._both(lambda: self.door(who).resume(run.id), lambda: self._drive(run))

    def cancel(self, run: Course, who: str = RITA) -> None:
        """End a run."""

        def model() -> Refusal:
            if run.phase == "over":
                return "stale"
            for asked in run.asked:
                if asked.status == "open":
                    asked.status = "withdrawn"
            if run.phase == "waiting":
                run.phase = "over"
            else:
                run.stop = True
                self._execute(run)
            return None

        self._both(lambda: self.door(who).cancel(run.id), model)

    def sweep(self, who: str = ABE) -> None:
        """Do what is due."""

        def model() -> None:
            for run in self.runs:
                if run.open is not None and self.now >= run.open.decide_by:
                    self._expire(run, run.open)
            for run in self.runs:
                if run.open is not None and self.rules.backup_roles and self.now - run.open.opened_at >= timedelta(seconds=self.rules.backup_after_s):
                    run.backup.add(run.digest)
                    self.seen("the backup was called")
            due = [run for run in self.runs if run.phase == "running" and run.waits_until is not None and run.waits_until <= self.now]
            for run in sorted(due, key=lambda run: (run.started_at, run.id)):
                self._execute(run)

        self._both(lambda: self.door(who).sweep(), model)

    def grant(self, who: str, level: str, *, highest: str = "HIGH", uses: int = 1, valid_for_s: int = 3600, requester: str = "") -> Allowance | None:
        """Allow a command in advance."""
        command = Work("", level).command
        given: list[Allowance] = []

        def real() -> None:
            found = self.door(who).grant("recorder", command=command, highest=highest, uses=uses, valid_for=valid_for_s, requester=requester)
            assert given, "UNAUTHORISED: a grant was given that the rules do not allow"
            given[0].id = found.id

        def model() -> Refusal:
            if highest == "CRITICAL" or not self.could_alone(who, highest):
                return "not allowed"
            given.append(Allowance("", who, command, highest, uses, requester, self.now, self.now + timedelta(seconds=valid_for_s)))
            return None

        self._both(real, model)
        self.grants += given
        return given[0] if given else None

    def revoke(self, grant: Allowance, who: str) -> None:
        """End a grant."""

        def model() -> Refusal:
            if who == BOT or (who != grant.by and not self.roles(who)):
                return "not allowed"
            if grant.revoked:
                return "stale"
            grant.revoked = True
            return None

        self._both(lambda: self.door(who).revoke(grant.id), model)

    def poke(self, run: Course) -> None:
        """Ask the ledger for a dispatch behind everybody's back, where the model says that there is none to be had."""
        if run.phase == "running" and (not run.stop) and run.waits_until is None:
            return
        if run.waits_until is not None and self.rules.window is None:
            return
        step = min(run.begun + 1, len(run.works))

        def real() -> None:
            answer = self.door(BOT).ledger.dispatch(run.id, "do", step, effect_class=EffectClass.OPAQUE, before={})
            assert not isinstance(answer, Dispatch), "UNAUTHORISED: a dispatch was given behind everybody's back"

        if run.waits_until is None or self.next_opening() > self.now:
            self._both(real, lambda: None)
            # An attempt is news, after which the log no longer ends with the run's waiting.
            run.waits_until = None

    def reconfigure(self, **changed: Any) -> None:
        """Open the home again under other rules."""
        self.shut()
        for name, value in changed.items():
            setattr(self.rules, name, value)
        self.seen("the rules were changed")

    def deadlines(self) -> list[datetime]:
        """Return every time at which something ends or begins."""
        found = [asked.decide_by for run in self.runs for asked in run.asked if asked.status == "open"]
        found += [until for run in self.runs if run.phase == "running" for until in [self.approved_until(run)] if until is not None]
        found += [grant.expires_at for grant in self.grants if not grant.revoked]
        found += [run.open.opened_at + timedelta(seconds=self.rules.backup_after_s) for run in self.runs if run.open is not None and self.rules.backup_roles]
        if self.rules.window is not None:
            opens, closes = (self.now.replace(hour=hour, minute=0, second=0, microsecond=0) for hour in self.rules.window)
            found += [opens, closes, opens + timedelta(days=1)]
        return sorted(set(found))

    def answerable(self) -> list[tuple[Course, Asked, str]]:
        """Return every approval that would count now."""
        return [
            (run, run.open, who)
            for run in self.runs if run.open is not None
            for who in ACTORS if self.may_answer(run, run.open, who, "approve", "seen") and not any(a.who == who and a.verdict == "approve" for a in run.open.answers)
        ]  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(Exception):
            self.close()
