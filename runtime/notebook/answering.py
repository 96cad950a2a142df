"""Answering a question in a notebook: buttons where ipywidgets is installed, otherwise the calls to make.

Rules: an answer goes through `Runtime.decide`, as the actor of that runtime, about the request that is shown; when the question has moved on
in the meantime the answer is refused like anybody's. A button that was pressed cannot be pressed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import yaml

from ...schemas.approval import Request, Verdict
from ...schemas.errors import AssentError, Complaint, InvalidDocument
from .html import box, code, text
from .view import Shown, show

if TYPE_CHECKING:
    from ..runtime import Runtime

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STYLES = {"approve": "success", "reject": "danger", "abandon": "danger", "edit": "warning"}


def controls(runtime: Runtime, request: Request | str, *, widgets: Any = None) -> Any:
    """Return a question with the means to answer it.

    Args:
        request: the request, or its id.
        widgets: the module `ipywidgets`; found by itself, and `False` for plain calls.

    Returns:
        A widget, or HTML that names the calls where there are no widgets.

    Raises:
        NotFound: no such request.
    """
    asked = runtime.ledger.request(request if isinstance(request, str) else request.id)
    module = _widgets() if widgets is None else widgets
    if not module or not asked.is_open:
        return Shown(show(asked, runtime).html + (_calls(asked) if asked.is_open else ""))
    return _Panel(runtime, asked, module).whole


def _widgets() -> Any:
    try:
        import ipywidgets
    except ModuleNotFoundError:
        return None
    return ipywidgets


def _calls(request: Request) -> str:
    lines = []
    for option in request.options:
        more = ', edit={"steps": {1: {"args": {…}}}}' if option is Verdict.EDIT else ""
        lines.append(f'runtime.decide("{request.id}", "{option.value}", reason="…"{more})')
    return box(text("answer with one of"), code("\n".join(lines)))


class _Panel:
    """The buttons of one question, and what came of pressing one."""

    def __init__(self, runtime: Runtime, request: Request, widgets: Any) -> None:
        self.runtime = runtime
        self.request = request
        self.view = widgets.HTML(show(request, runtime).html)
        self.said = widgets.HTML()
        self.reason = widgets.Text(placeholder="reason", layout=widgets.Layout(width="40em"))
        self.buttons = [self._button(widgets, option) for option in request.options]
        plan = runtime.ledger.plan(request.run_id)
        steps = {step.step: {"args": dict(step.args)} for step in plan.steps} if plan is not None else {}
        draft = yaml.safe_dump(steps, sort_keys=False, allow_unicode=False, width=110)
        self.draft = widgets.Textarea(draft, layout=widgets.Layout(width="98%", height=f"{min(24, 2 + draft.count(chr(10)))}em"))
        parts = [self.view, self.reason, widgets.HBox(self.buttons), self.said]
        if Verdict.EDIT in request.options:
            parts.insert(3, widgets.Accordion([self.draft], titles=("change the steps here, then press edit",)))
        self.whole = widgets.VBox(parts)
        self.whole.assent = self  # so that it lives as long as what it draws, and tests can press
        drawn = self.whole._repr_mimebundle_
        # Where a notebook is only looked at, no widget is drawn; there the question and the calls stand in its place.
        self.whole._repr_mimebundle_ = lambda **given: {**drawn(**given), "text/html": show(request, runtime).html + _calls(request)}

    def _button(self, widgets: Any, option: Verdict) -> Any:
        button = widgets.Button(description=option.value.replace("_", " "), button_style=_STYLES.get(option.value, ""))
        button.on_click(self._pressed(option))
        return button

    def _pressed(self, option: Verdict) -> Callable[[Any], None]:
        def pressed(button: Any) -> None:
            self._enable(False)
            try:
                edit = {"steps": self._edited()} if option is Verdict.EDIT else None
                run = self.runtime.decide(self.request.id, option.value, reason=self.reason.value, edit=edit)
            except AssentError as error:
                self.said.value = box(text("not recorded"), text(error.message), f'<div class="q">{text(error.hint)}</div>')
                self._enable(self.runtime.ledger.request(self.request.id).is_open)
                return
            self.view.value = show(self.runtime.ledger.request(self.request.id), self.runtime).html
            self.said.value = show(run).html

        return pressed

    def _edited(self) -> Any:
        try:
            return yaml.load(self.draft.value, Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
        except yaml.YAMLError as error:
            raise InvalidDocument([Complaint(where="edit", expected="YAML", found=str(error))]) from error

    def _enable(self, is_enabled: bool) -> None:
        for button in self.buttons:
            button.disabled = not is_enabled
