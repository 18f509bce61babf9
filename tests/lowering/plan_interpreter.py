"""A slow, obvious interpreter of plans: what the backends are measured against."""

import itertools

import numpy as np

from fnad.lowering.buffers import ALIGNMENT
from fnad.primitives.numpy_builder import NUMPY

COMBINE = {
    "add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum,
    "and": np.logical_and, "or": np.logical_or, "logsumexp": np.logaddexp,
}  # fmt: skip


class Slab:
    """Part of a buffer, found by the indices of the whole one."""

    def __init__(self, array, start):
        self.array, self.start = array, start

    def _inside(self, index):
        index = index - self.start
        assert np.min(index) >= 0 and np.max(index) < self.array.size
        return index

    def __getitem__(self, index):
        return self.array[self._inside(index)]

    def __setitem__(self, index, value):
        self.array[self._inside(index)] = value


class Machine:
    """Runs a plan in one arena, so that wrong lifetimes give wrong results."""

    def __init__(self, plan, args):
        self.plan = plan
        self.arena = np.full(plan.arena_size + ALIGNMENT, 0xA5, np.uint8)
        self.memory = {}
        for b in plan.buffers:
            if b.offset is not None:
                raw = self.arena[b.offset : b.offset + b.nbytes]
                self.memory[b.number] = raw.view(b.dtype)
            elif b.role == "output":
                self.memory[b.number] = np.empty(b.size, b.dtype)
        for number, arg in zip(plan.inputs, args, strict=True):
            self.memory[number] = np.array(arg).ravel()
        self.counters = {}

    def run(self):
        with np.errstate(all="ignore"):
            self.body(self.plan.body)
        shapes = {b.number: b.shape for b in self.plan.buffers}
        return [self.memory[n].reshape(shapes[n]) for n in self.plan.outputs]

    def body(self, nodes):
        for node in nodes:
            getattr(self, f"run_{type(node).__name__.lower()}")(node)

    def value(self, root, axes, reduced=()):
        """Evaluate an expression for one point."""
        done = {}

        def go(e):
            if e not in done:
                done[e] = self.apply(e, [go(a) for a in e.args], axes, reduced)
            return done[e]

        return go(root)

    def apply(self, e, args, axes, reduced):
        if e.op == "constant":
            return e.attr
        if e.op == "axis":
            return np.int64(axes[e.attr[0]])
        if e.op == "counter":
            return np.int64(self.counters[e.attr[0]])
        if e.op == "affine":
            total = e.attr[1] + sum(c * int(a) for a, c in zip(args, e.attr[0]))
            return np.int64((total + 2**63) % 2**64 - 2**63)
        if e.op == "load":
            assert args[0] >= 0, e
            return self.memory[e.attr][int(args[0])]
        if e.op == "reduced":
            return reduced[e.attr]
        if e.op in ("convert", "bitcast"):
            return np.asarray(getattr(NUMPY, e.op)(args[0], e.dtype))[()]
        out = np.asarray(getattr(NUMPY, e.op)(*args))[()]
        assert out.dtype == e.dtype, (e.op, out.dtype, e.dtype)
        return out

    def run_kernel(self, k, begin=0, end=None):
        for point in points(k.axes):
            if k.axes and not begin <= point[k.axes[0][0]] < (k.axes[0][1] if end is None else end):
                continue
            reduced = []
            for r in k.reductions:
                reduced.append(self.reduction(r, point, reduced))
            for s in k.stores:
                if s.when is not None and not self.value(s.when, point, reduced):
                    continue
                offset = int(self.value(s.offset, point, reduced))
                assert offset >= 0
                value = self.value(s.value, point, reduced)
                memory = self.memory[s.buffer]
                memory[offset] = COMBINE[s.combine](memory[offset], value) if s.combine else value

    def run_group(self, g):
        """Locals hold garbage between blocks, and exist only for the rows of the block."""
        by_number = {b.number: b for b in self.plan.buffers}
        for begin in range(0, g.extent, g.block):
            end = min(begin + g.block, g.extent)
            for n in g.locals:
                b = by_number[n]
                slab = b.size // g.extent
                self.memory[n] = Slab(
                    np.full((end - begin) * slab, 77).astype(b.dtype), begin * slab
                )
            for member in g.members:
                node = member.node
                run = getattr(self, f"run_{type(node).__name__.lower()}")
                run(node, begin * member.step, end * member.step)

    def reduction(self, r, point, reduced):
        values = np.array([self.value(r.value, {**point, **p}, reduced) for p in points(r.axes)])
        if r.kind in ("argmax", "argmin"):
            return getattr(np, r.kind)(values).astype(r.dtype)
        values = values.astype(r.accumulator)
        return COMBINE[r.kind].reduce(values, dtype=r.accumulator).astype(r.dtype)

    def matrix(self, m, rows, columns, batch):
        offset = int(self.value(m.offset, {}))
        index = np.full((*batch, rows, columns), offset)
        for axis, stride in enumerate(m.strides):
            extent = index.shape[axis]
            index += stride * np.arange(extent).reshape(-1, *[1] * (index.ndim - axis - 1))
        return index

    def run_contraction(self, c, begin=0, end=None):
        left = self.matrix(c.left, c.m, c.k, c.batch)
        right = self.matrix(c.right, c.k, c.n, c.batch)
        if c.panel:
            offset, column = int(self.value(c.right.offset, {})), np.arange(c.n)
            place = column // c.panel * (c.panel * c.k) + column % c.panel
            right = offset + np.arange(c.k)[:, None] * c.panel + place
        place = self.matrix(c.out, c.m, c.n, c.batch)
        if c.batch:
            left, right, place = (
                x.reshape(-1, *x.shape[-2:])[begin:end] for x in (left, right, place)
            )
        else:
            left, place = left[begin:end], place[begin:end]
        out = self.memory[c.out.buffer]
        product = self.memory[c.left.buffer][left] @ self.memory[c.right.buffer][right]
        out[place] = out[place] + product if c.accumulate else product

    def run_accumulate(self, a):
        x = self.memory[a.source].reshape(a.extents)
        x = x[:, ::-1] if a.reverse else x
        out = COMBINE[a.kind].accumulate(x.astype(a.accumulator), axis=1).astype(a.dtype)
        self.memory[a.out][:] = (out[:, ::-1] if a.reverse else out).ravel()

    def run_sort(self, s):
        xs = [self.memory[n].reshape(s.extents) for n in s.sources]
        order = np.lexsort(tuple(x for x in reversed(xs[: s.num_keys])), axis=1)
        for n, x in zip(s.outs, xs):
            self.memory[n][:] = np.take_along_axis(x, order, 1).ravel()

    def run_copy(self, c):
        source, out = int(self.value(c.source_offset, {})), int(self.value(c.out_offset, {}))
        self.memory[c.out][out : out + c.size] = self.memory[c.source][source : source + c.size]

    def run_for(self, f):
        turns = range(f.extent) if f.count is None else range(self.memory[f.count][0])
        for turn in reversed(turns) if f.backwards else turns:
            self.counters[f.counter] = turn
            self.body(f.body)

    def run_reserve(self, r):
        buffers = {b.number: b for b in self.plan.buffers}
        [rows] = self.memory[r.count]
        for n in r.tapes:
            assert n not in self.memory
            row = buffers[n].size // buffers[n].shape[0]
            self.memory[n] = np.empty(rows * row, buffers[n].dtype)
        self.memory[r.granted][:] = rows

    def run_release(self, r):
        for n in r.tapes:
            del self.memory[n]

    def run_while(self, w):
        while True:
            self.body(w.condition)
            if not self.memory[w.predicate][0]:
                return
            self.body(w.body)

    def run_branch(self, b):
        self.body(b.branches[min(max(int(self.memory[b.index][0]), 0), len(b.branches) - 1)])


def points(axes):
    for values in itertools.product(*(range(n) for _, n in axes)):
        yield {number: value for (number, _), value in zip(axes, values)}


def run_plan(plan, args):
    """Run a plan on arrays; returns the list of outputs."""
    return Machine(plan, args).run()
