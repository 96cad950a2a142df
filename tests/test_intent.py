"""Intent-based access control: rules first, a model where they don't decide, a person where it doesn't either. It can only add a question."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assent.policies import intent as policy
from assent.policies.intent import Intent, judge, judge_step, ruling, stated
from assent.schemas.plan import Plan, Step
from assent.schemas.problem import Context, Problem
from assent.schemas.risk import Level

LOW, MEDIUM, HIGH = Level.LOW, Level.MEDIUM, Level.HIGH


def step(tool: str, level: Level = HIGH, **args: Any) -> tuple[Step, Level]:
    return Step(step=1, tool=tool, args=args), level


def sh(command: str, level: Level = HIGH) -> tuple[Step, Level]:
    return step("shell", level, command=command)


def sql(statement: str, level: Level = HIGH) -> tuple[Step, Level]:
    return step("sql", level, database="shop.db", statement=statement)


def write(path: str, content: str = "x") -> tuple[Step, Level]:
    return step("files", MEDIUM, operation="write", path=path, content=content)


# words, step, answer, rule that says so; the last column is fields of the problem
TABLE: list[tuple[str, tuple[Step, Level], str, str, dict[str, Any]]] = [
    # reading is within whatever was asked for
    ("Search for TODO comments in src", sh("grep -rn TODO src", LOW), "within", "intent.reads", {}),
    ("Restart the orders service", sh("systemctl is-active orders", LOW), "within", "intent.reads", {}),
    # what was asked for, on what was named
    ("Clean up the merged branches", sh("git branch -d feature-branches"), "within", "intent.asked", {}),
    ("Restart the orders service on staging", sh("systemctl restart orders"), "within", "intent.asked", {}),
    ("Create an index on orders", sql("CREATE INDEX i ON orders(customer)"), "within", "intent.asked", {}),
    ("Export the users table to exports/users.csv", write("exports/users.csv"), "within", "intent.asked", {}),
    ("Rename fetch to load in app.py", step("files", MEDIUM, operation="edit", path="app.py", old="fetch", new="load"), "within", "intent.asked", {}),
    ("Post the report to the dashboard", step("http", HIGH, method="POST", url="https://dashboard.example.com/reports", body="x"), "within", "intent.asked", {}),
    ("Upgrade the dependency requests", sh("pip install --upgrade requests"), "within", "intent.asked", {}),
    ("Speed it up", sql("CREATE INDEX i ON orders(customer)"), "unsure", "intent.not_asked", {"context": Context(affected_systems=("orders",))}),
    # an act of gravity that nobody asked for
    ("Create an index on orders", sql("DROP TABLE orders"), "outside", "intent.not_asked", {}),
    ("Search for TODO comments in src", sh("rm -rf src"), "outside", "intent.not_asked", {}),
    ("Write release notes", sh("git push origin main"), "outside", "intent.not_asked", {}),
    ("Write release notes to NOTES.md", sh("pip install requests"), "outside", "intent.not_asked", {}),
    ("List the users", sql("GRANT ALL ON users TO public"), "outside", "intent.not_asked", {}),
    ("Show the orders", sql("UPDATE orders SET paid = 1"), "outside", "intent.not_asked", {}),
    ("Fix the config of nginx", sh("systemctl restart nginx"), "outside", "intent.not_asked", {}),
    ("Summarize the orders", step("python", HIGH, code="import os; os.remove('orders.csv')"), "outside", "intent.not_asked", {}),
    ("Read the status of orders", step("http", HIGH, method="DELETE", url="https://x/orders"), "outside", "intent.not_asked", {}),
    # what was forbidden in so many words
    ("Clean up the branches, but do not delete anything on the remote", sh("git push origin --delete remote-branches"), "outside", "intent.forbidden", {}),
    ("Clean up old branches", sh("git branch -d release"), "outside", "intent.forbidden", {"out_of_scope": ("release branches",)}),
    ("Update the orders", sql("UPDATE billing SET x = 1"), "outside", "intent.forbidden", {"out_of_scope": ("billing",)}),
    ("Show everything", sh("cat billing/report.txt", LOW), "outside", "intent.forbidden", {"out_of_scope": ("the billing service",)}),
    ("Clean up orders", sql("DELETE FROM orders"), "outside", "intent.forbidden", {"constraints": ("no deletions",)}),
    ("Deploy the orders service", sh("systemctl restart orders"), "outside", "intent.forbidden", {"constraints": ("No downtime",)}),
    ("Update orders without touching the customers table", sql("UPDATE customers SET orders = 1"), "outside", "intent.forbidden", {}),
    ("Look at orders, read-only", sql("UPDATE orders SET x = 1"), "outside", "intent.reads_only", {}),
    ("Update orders", sql("UPDATE orders SET x = 1"), "outside", "intent.reads_only", {"constraints": ("read-only access",)}),
    ("Update orders", sql("UPDATE production.orders SET x = 1"), "outside", "intent.environment", {"context": Context(environment="staging")}),
    # what the rules don't decide
    ("Update orders", sql("UPDATE prod.orders SET x = 1"), "unsure", "intent.environment", {}),
    ("Update the orders", sql("UPDATE invoices SET x = 1"), "unsure", "intent.other_thing", {}),
    ("Update orders", sh("./tool --orders"), "unsure", "intent.unknown_act", {}),
    ("Update orders", sql("UPDATE orders SET x = 1"), "unsure", "intent.constraint", {"constraints": ("keep the API compatible",)}),
    ("Update orders", step("sql", HIGH, database="x", statement="UPDATE orders SET x = '" + "y" * 9000 + "'"), "unsure", "intent.too_long", {}),
    # budgets are kept elsewhere
    ("Update orders", sql("UPDATE orders SET x = 1"), "within", "intent.asked", {"constraints": ("Budget: $5", "Timeline: 2 hours")}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "call", "answer", "rule", "fields"), TABLE, ids=[f"{n}-{row[0][:24]}-{row[2]}" for n, row in enumerate(TABLE)]
)
def test_truth_table(words: str, call: tuple[Step, Level], answer: str, rule: str, fields: dict[str, Any]) -> None:
    found = judge_step(
        *call, stated(Problem(title="A title that a model wrote about deleting everything", **fields), words=words)
    )
    assert (found.answer, rule in found.rules) == (answer, True), found
    assert found.reasons
    assert 0 <= found.confidence_pct <= 100


def test_title_of_a_model_asks_for_nothing_when_the_person_spoke() -> None:
    problem = Problem(title="Delete the orders")
    assert judge_step(*sql("DELETE FROM orders"), stated(problem, words="Show the orders")).answer == "outside"
    assert judge_step(*sql("DELETE FROM orders"), stated(problem)).answer == "within"


def test_wish_that_is_forbidden_is_no_wish() -> None:
    for words in ("Tidy orders without deleting rows", "Never delete orders", "Update orders; do not drop orders"):
        assert judge_step(*sql("DELETE FROM orders"), stated(Problem(title="x"), words=words)).answer == "outside", words


def test_every_step_of_a_plan_is_judged() -> None:
    steps = (Step(step=1, tool="shell", args={"command": "ls"}), Step(step=2, tool="shell", args={"command": "rm -rf orders"}))
    found = judge(Plan(problem=Problem(title="List orders"), steps=steps), [LOW, HIGH])
    assert [one.answer for one in found] == ["within", "outside"]
    assert [one.step for one in found] == [1, 2]


def test_ruling_allows_only_what_is_within_certainly_enough() -> None:
    assert ruling([Intent(1, "within", 85)]).answer == "allow"
    assert ruling([Intent(1, "within", 84, ("r",), ("why",))]).answer == "review"
    assert ruling([Intent(1, "within", 99), Intent(2, "unsure", 99, ("r",), ("why",))]).reasons == ("step 2: why",)
    assert ruling([Intent(1, "within", 90)], threshold_pct=95).answer == "review"
    mixed = ruling([Intent(1, "unsure", 50, ("a",), ("x",)), Intent(2, "outside", 95, ("b",), ("y",))])
    assert (mixed.answer, mixed.rules) == ("review", ("b", "a"))


@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.sampled_from(["shell", "sql", "files", "http", "python", "other"]),
    st.sampled_from(Level),
)
def test_rules_never_raise_and_never_deny(words: str, text: str, tool: str, level: Level) -> None:
    args = {"shell": {"command": text}, "sql": {"statement": text}, "files": {"operation": "write", "content": text}}.get(
        tool, {"x": [text, {"y": text}]}
    )
    found = judge_step(Step(step=1, tool=tool, args=args), level, stated(Problem(title="t", constraints=(words,)), words=words))
    assert ruling([found]).answer in ("allow", "review")


def test_rules_take_less_than_five_milliseconds() -> None:
    said = stated(
        Problem(title="Clean up", constraints=("no pushes", "keep it compatible"), out_of_scope=("billing",)),
        words="Clean up old branches",
    )
    calls = [call for _, call, _, _, _ in TABLE]
    took = []
    for one, level in calls * 3:
        began = time.perf_counter()
        judge_step(one, level, said)
        took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.005


@pytest.mark.parametrize("piece", ["git branch ", "sed ", "open( ", "rsync ", "> ", "curl ", "kubectl "])
def test_hostile_text_does_not_take_long(piece: str) -> None:
    said = stated(Problem(title="x", constraints=(piece * 500,)), words=piece * 3000)
    began = time.perf_counter()
    judge_step(*sh(piece * 20_000), said)
    assert time.perf_counter() - began < 0.1


def test_table_is_whole() -> None:
    table = yaml.safe_load((Path(policy.__file__).parent / "intent.yaml").read_text())
    for group in (*table["asks"].values(), *table["forbids"].values(), table["empty"], table["kinds"], table["production"]):
        assert all(isinstance(word, str) for word in group)  # YAML reads a bare `no` or `on` as a truth value
    written = (
        set(table["acts"]["sql"].values())
        | set(table["acts"]["files"].values())
        | set(table["acts"]["shell"])
        | set(table["acts"]["http"].values())
    )
    assert written - {"fetch"} <= set(table["asks"])


def test_what_is_left_beside_the_request_is_not_judged_by_its_words_alone() -> None:
    problem = {"title": "Orders take long to find", "description": "The query reads all rows.", "out_of_scope": ["Other queries"]}
    said = stated(Problem.model_validate(problem))
    step = Step.model_validate({"step": 1, "tool": "sql", "args": {"database": "shop.db", "statement": "EXPLAIN QUERY PLAN SELECT 1"}})
    assert judge_step(step, Level.LOW, said).answer != "outside"
    without = stated(Problem.model_validate({**problem, "out_of_scope": ["Queries"]}))
    assert judge_step(step, Level.LOW, without).rules == ("intent.forbidden",)


def test_a_verb_in_a_description_is_no_request_to_only_look() -> None:
    problem = Problem.model_validate({"title": "Orders of a customer take too long to find", "description": "It gets slower."})
    step = Step.model_validate({"step": 1, "tool": "sql", "args": {"database": "shop.db", "statement": "CREATE INDEX i ON orders(customer_id)"}})
    assert judge_step(step, Level.MEDIUM, stated(problem)).answer == "unsure"
    assert judge_step(step, Level.MEDIUM, stated(problem, words="find the orders of a customer")).answer == "outside"
