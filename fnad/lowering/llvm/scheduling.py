"""In which order a long computation is printed, so that few of its values wait in registers.

In the order of results, all that the first one needs comes first: of a Fourier transform that is
every operand. Here a computation is cut in the middle between what it reads and its results, and
what falls apart on either side is done piece by piece, each cut again (Frigo, 1999, "A fast Fourier
transform compiler", section 6). Whatever the number of registers, few values have to leave them::

    a, b, c, d read; a + b, c + d, a - b, c - d; ...    ->    a, b; a + b, a - b; c, d; ...
"""

from __future__ import annotations

from collections.abc import Sequence

# What a node depends on, or what depends on it, by numbers of nodes.
Links = Sequence[Sequence[int]]

# So many values fit registers, in whatever order.
_FEW = 12


def few_alive(arguments: Links) -> list[int]:
    """An order of nodes, each behind its arguments.

    Parameters
    ----------
    arguments : sequence of sequences of int
        What each node depends on: other nodes with smaller numbers.

    Examples
    --------
    >>> few_alive([[], [], [], [], [0, 2], [1, 3], [0, 2], [1, 3]])
    [0, 2, 4, 6, 1, 3, 5, 7]
    """
    users: list[list[int]] = [[] for _ in arguments]
    for node, needed in enumerate(arguments):
        for other in needed:
            users[other].append(node)
    order: list[int] = []
    pending = [list(range(len(arguments)))]  # a stack of what is to be ordered
    while pending:
        nodes = pending.pop()
        pieces = _pieces(nodes, arguments, users)
        if len(pieces) > 1:
            pending += reversed(pieces)
        elif len(nodes) > _FEW:
            pending += reversed(_halves(nodes, arguments, users))
        else:
            order += nodes
    return order


def _pieces(nodes: Sequence[int], arguments: Links, users: Links) -> list[list[int]]:
    """Nodes apart from each other if nothing among them links them, in their order."""
    missing, pieces = set(nodes), []
    for first in nodes:
        if first not in missing:
            continue
        missing.discard(first)
        piece = [first]
        for node in piece:  # grows while it is walked
            for links in (arguments[node], users[node]):
                new = missing.intersection(links)
                missing -= new
                piece += new
        pieces.append(sorted(piece))
    return pieces


def _halves(nodes: Sequence[int], arguments: Links, users: Links) -> tuple[list[int], list[int]]:
    """What is near the arguments and what is near the results, taken in turn, level by level."""
    left = set(nodes)
    first, last = _Side(left, arguments, users), _Side(left, users, arguments)
    while left:
        first.advance(left)
        last.advance(left)
    return sorted(first.taken), sorted(last.taken)


class _Side:
    """Nodes taken from one end on: those none of whose links on that side is left out."""

    def __init__(self, nodes: set[int], before: Links, behind: Links) -> None:
        self.behind = behind
        self.missing = {node: len(nodes.intersection(before[node])) for node in nodes}
        self.next = [node for node, count in self.missing.items() if not count]
        self.taken: list[int] = []

    def advance(self, left: set[int]) -> None:
        """Take the next level of what is left."""
        level = left.intersection(self.next)
        left -= level
        self.taken += level
        self.next = []
        for node in level:
            for other in self.behind[node]:
                if other in self.missing:
                    self.missing[other] -= 1
                    if not self.missing[other]:
                        self.next.append(other)
