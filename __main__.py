"""`python -m assent` and the console script `assent`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    from .runtime.cli.app import run

    run()


if __name__ == "__main__":
    main()
