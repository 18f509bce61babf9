"""When the memory of tapes is given back."""

from __future__ import annotations

from collections.abc import Sequence

from fnad.lowering.access import access, with_bodies
from fnad.lowering.plan import Node, Release, Reserve


def with_releases(body: Sequence[Node]) -> list[Node]:
    """A schedule that releases tapes behind the last node that uses them.

    Before ``reserve %2 of %1 rows: %5; for t0 < %2: ...; for t1 < %2 backwards: ...``, after the
    same and ``release %5``.
    """
    nodes = [with_bodies(node, with_releases) for node in body]
    ends: dict[int, list[Release]] = {}
    for start, node in enumerate(nodes):
        if not isinstance(node, Reserve):
            continue
        end = start
        for position in range(start + 1, len(nodes)):
            later = nodes[position]
            if isinstance(later, Reserve) and later.tapes == node.tapes:
                break  # two turns of a loop in one
            if not access(later).touched.isdisjoint(node.tapes):
                end = position
        ends.setdefault(end, []).append(Release(node.tapes, node.origin))
    return [n for position, node in enumerate(nodes) for n in (node, *ends.get(position, ()))]
