"""Colourings: what they must be, and how many colours the literature says are enough."""

import numpy as np
import pytest
import scipy.sparse as sp

from fnad.transforms.coloring import color_columns, color_symmetric, num_colors


def band(n, *offsets):
    return sp.diags_array([np.ones(n - abs(o)) for o in offsets], offsets=offsets).tocsr()


def grid(n, points):
    """Pattern of a stencil on a grid of n x n."""
    line, one = band(n, -1, 0, 1), sp.eye_array(n)
    both = {5: sp.kron(line, one) + sp.kron(one, line), 9: sp.kron(line, line)}
    return both[points].tocsr()


def cube(n):
    """Pattern of the seven-point stencil on a grid of n x n x n."""
    line, one = band(n, -1, 0, 1), sp.eye_array(n)
    lines = [(line, one, one), (one, line, one), (one, one, line)]
    return sum(sp.kron(sp.kron(a, b), c) for a, b, c in lines).tocsr()


def random_pattern(rng, shape, density, symmetric=False):
    dense = rng.random(shape) < density
    return sp.csr_array(dense | dense.T if symmetric else dense)


def assert_columns_apart(pattern, colors):
    dense = pattern.toarray() != 0
    for color in range(num_colors(colors)):
        assert (dense[:, colors == color].sum(1) <= 1).all()


def assert_star(pattern, colors):
    near = [np.flatnonzero(row) for row in pattern.toarray()]
    for a, around in enumerate(near):
        for b in (b for b in around if b != a):
            assert colors[a] != colors[b]
            for c in (c for c in near[b] if c not in (a, b) and colors[c] == colors[a]):
                assert all(colors[d] != colors[b] for d in near[c] if d not in (b, c))


@pytest.mark.parametrize(
    "pattern, columns, symmetric",
    [
        (band(50, 0), 1, 1),
        (band(50, -1, 0, 1), 3, 3),
        (band(50, -2, -1, 0, 1, 2), 5, 5),
        (grid(12, 5), 5, 5),
        (grid(12, 9), 9, 9),
        (cube(7), 7, 7),
        (sp.csr_array((3, 4)), 1, None),
        (sp.csr_array((0, 0)), 0, 0),
        (sp.csr_array(np.ones((4, 4))), 4, 4),
    ],
    ids=["diagonal", "line", "wide-line", "square", "full-square", "cube", "zero", "none", "dense"],
)
def test_counts_of_the_literature(pattern, columns, symmetric):
    assert num_colors(color_columns(pattern)) == columns
    assert_columns_apart(pattern, color_columns(pattern))
    if symmetric is not None:
        assert num_colors(color_symmetric(pattern)) == symmetric
        assert_star(pattern, color_symmetric(pattern))


def test_random_patterns():
    rng = np.random.default_rng(0)
    for density in (0.03, 0.1, 0.3):
        for _ in range(5):
            pattern = random_pattern(rng, (20, 30), density)
            assert_columns_apart(pattern, color_columns(pattern))
            pattern = random_pattern(rng, (25, 25), density, symmetric=True)
            assert_star(pattern, color_symmetric(pattern))


def test_arrows_take_two_colours_where_symmetry_counts():
    arrow = np.eye(30)
    arrow[0] = arrow[:, 0] = 1
    arrow = sp.csr_array(arrow)
    assert num_colors(color_columns(arrow)) == 30
    assert num_colors(color_symmetric(arrow)) == 2
    turned = sp.csr_array(arrow.toarray()[::-1, ::-1])
    assert num_colors(color_symmetric(turned)) == 2


def test_another_order_is_tried_where_the_first_takes_too_many():
    # Columns as they come would take a colour each; the complement of a matching (a crown) is
    # known for it. Two colours are enough.
    n = 8
    crown = np.zeros((n, n), bool)
    crown[::2, 1::2] = ~np.eye(n // 2, dtype=bool)
    pairs = [(i, j) for i in range(n) for j in range(n) if crown[i, j]]
    rows = np.zeros((len(pairs), n))
    for row, (i, j) in zip(rows, pairs):
        row[[i, j]] = 1
    assert num_colors(color_columns(sp.csr_array(rows))) == 2
