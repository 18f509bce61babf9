"""``python -m fnad doctor``: what fnad finds on this machine."""

from __future__ import annotations

import sys

from fnad.diagnosis import doctor

_USAGE = "usage: python -m fnad doctor   prints what fnad finds on this machine"


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status, which says whether programs can run on a card."""
    if arguments != ["doctor"]:
        print(_USAGE, file=sys.stderr)
        return 2
    return 0 if doctor() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
