"""The command line: every question a person can ask of a home, and every answer they can give, from a terminal.

    app.py         the commands by name, and the process around them
    command.py     what every command shares: its door, `--json`, errors, exit codes
    begin.py  look.py  answer.py  steer.py  audit.py  weigh.py  draw.py  new.py  keep.py  doctor.py    the commands
    review.py      the conversation with a person at a terminal
    panel.py  steps.py  detail.py  change.py  outcome.py  progress.py  story.py    what is shown
    lines.py       how text from outside becomes text on a screen
    shelf.py       reading a home without loading what acts

Rules: what is shown about a plan comes from its bytes by code; text from outside is redacted, made visible and never read as markup; results
go to standard output and errors with a hint to standard error; the exit code is 0 only for what succeeded. Heavy imports stay inside commands.
"""
