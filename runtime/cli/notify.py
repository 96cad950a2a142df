"""`assent notify`: try a channel, look at what was not delivered yet, ask for another try."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from .command import FAILED, SUCCEEDED, Door, command, print_json

app = typer.Typer(
    name="notify", no_args_is_help=True, rich_markup_mode=None, help="Channels that people are told on: try one, list what waits, try again."
)


def test(door: Door, channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel under `notify.channels`.")]) -> int:
    """Send a notice that tells of nothing to one channel, and say what came of it."""
    found = door.runtime().try_channel(channel)
    if door.as_json:
        print_json({"channel": channel, **found.as_json()})
    else:
        from .lines import one_line

        said = f": {one_line(found.said, 400)}" if found.said else ""
        words = {"sent": "✓ sent", "later": "✗ not sent, worth another try", "never": "✗ not sent, and would not be"}
        sys.stdout.write(f"{words[found.outcome.value]}{said}\n")
    return SUCCEEDED if found.outcome.value == "sent" else FAILED


def listing(door: Door, limit: Annotated[int, typer.Option(min=1, help="Most to list.")] = 50) -> int:
    """List what was not delivered yet, and what was given up."""
    from ..ledger import outbox

    runtime = door.runtime()
    with runtime.ledger.store.read() as c:
        counts, found = outbox.counts(c), outbox.listed(c, limit=limit)
    if door.as_json:
        print_json({"counts": counts, "notices": [posted.as_json() for posted in found]})
        return SUCCEEDED
    from .lines import moment, one_line

    for posted in found:
        tries = "1 try" if posted.attempts == 1 else f"{posted.attempts} tries"
        when = "given up" if posted.state == "given_up" else f"next {moment(posted.next_at)}"
        said = f"  {one_line(posted.said, 160)}" if posted.said else ""
        sys.stdout.write(f"{posted.notice.id}  {one_line(posted.channel, 40)}  {posted.notice.event}  {tries}, {when}{said}\n")
    sys.stdout.write(f"{counts['waiting']} waiting ({counts['failing']} after a failure), {counts['given_up']} given up, {counts['sent']} sent\n")
    return SUCCEEDED


def retry(door: Door, channel: Annotated[str | None, typer.Option(help="Only this channel.", show_default=False)] = None) -> int:
    """Try what failed or was given up again, now and with all its tries."""
    from ...schemas.errors import NotFound
    from ..ledger import log, outbox
    from ..notify.deliver import deliver_due

    runtime = door.runtime()
    if runtime.channels is None:
        raise NotFound("no channels are configured", hint="add `notify:` to config.yaml")
    with runtime.ledger.store.write() as c:
        count = outbox.again(c, log.now(c, runtime.clock), channel=channel)
    done = deliver_due(runtime.ledger, runtime.channels, known=tuple(runtime.settings.environment.values()))
    if door.as_json:
        print_json({"again": count, "sent": done.sent, "failed": done.failed, "given_up": done.given_up})
    else:
        sys.stdout.write(f"{count} to try again: {done.sent} sent, {done.failed} failed for now, {done.given_up} given up\n")
    return SUCCEEDED if not done.failed and not done.given_up else FAILED


_COMMANDS: dict[str, Callable[..., int]] = {"test": test, "list": listing, "retry": retry}
for _name, _function in _COMMANDS.items():
    command(app, _name, panel="Notices")(_function)
