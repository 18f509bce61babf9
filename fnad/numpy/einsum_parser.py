"""Reading einsum subscripts."""

from __future__ import annotations

import string
from collections.abc import Sequence


def parse_einsum(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Split subscripts into one term an operand and the output, with ``...`` spelt out.

    Raises
    ------
    ValueError
        If the terms do not fit the operands' ranks, or the output has an unknown index.

    Examples
    --------
    >>> parse_einsum("...ij,jk", [3, 2])
    (['Zij', 'jk'], 'Zik')
    """
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(
            f"einsum: the subscripts {subscripts!r} have {len(terms)} terms for {len(ranks)}"
            " operands"
        )
    free = [c for c in string.ascii_letters[::-1] if c not in subscripts]
    depth = max((_depth(t, r, subscripts) for t, r in zip(terms, ranks)), default=0)
    batch = "".join(free[:depth])
    spelt = [
        t.replace("...", batch[depth - _depth(t, r, subscripts) :]) for t, r in zip(terms, ranks)
    ]
    output = right.replace("...", batch) if arrow else _implicit(spelt, batch)
    _check_output(output, spelt, subscripts)
    return spelt, output


def _depth(term: str, rank: int, subscripts: str) -> int:
    """How many axes the ellipsis of a term stands for."""
    letters = term.replace("...", "")
    if not all(c in string.ascii_letters for c in letters):
        raise ValueError(f"einsum: {term!r} in {subscripts!r} is not made of letters and '...'")
    depth = rank - len(letters)
    if depth < 0 or (depth and "..." not in term):
        raise ValueError(
            f"einsum: the term {term!r} of {subscripts!r} names {len(letters)} axes, but its"
            f" operand has {rank}"
        )
    return depth


def _implicit(terms: Sequence[str], batch: str) -> str:
    """Without ``->`` the output has the indices that appear once, in alphabetical order."""
    letters = "".join(terms)
    once = [c for c in sorted(set(letters)) if letters.count(c) == 1 and c not in batch]
    return batch + "".join(once)


def _check_output(output: str, terms: Sequence[str], subscripts: str) -> None:
    for letter in output:
        if output.count(letter) > 1:
            raise ValueError(f"einsum: the output of {subscripts!r} repeats {letter!r}")
        if not any(letter in t for t in terms):
            raise ValueError(f"einsum: {letter!r} of the output is in no term of {subscripts!r}")
