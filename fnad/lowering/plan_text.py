"""Plans as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fnad.core.types import short_dtype
from fnad.lowering.expr import Expr
from fnad.lowering.interned import leaf_text
from fnad.lowering.plan import (
    Accumulate,
    Attention,
    BlockStep,
    Branch,
    Contraction,
    Copy,
    For,
    Group,
    HostCall,
    Kernel,
    Matrix,
    Mirror,
    Node,
    Plan,
    Release,
    Reserve,
    Routine,
    Sort,
    SortStep,
    While,
)
from fnad.lowering.walk import postorder

if TYPE_CHECKING:
    from fnad.lowering.dynamic_planner import DynamicPlan


def plan_text(plan: Plan) -> str:
    """A plan as text: buffers, then the schedule, with the user's lines as comments."""
    lines = [f"plan ({_numbers(plan.inputs)}) -> ({_numbers(plan.outputs)})"]
    for b in plan.buffers:
        place = f" @{b.offset} live {b.lifetime[0]}..{b.lifetime[1]}" if b.lifetime else ""
        lines.append(f"  {b.role} {b}{place}")
    lines.append(f"  arena {plan.arena_size} bytes")
    _print_body(plan.body, "  ", lines)
    return "\n".join(lines)


def dynamic_plan_text(plan: DynamicPlan) -> str:
    """A plan for sizes that are known at a call, in which they stand in terms of their names."""
    lines = [f"plan ({_numbers(plan.inputs)}) -> ({_numbers(plan.outputs)})"]
    for b in plan.buffers:
        place = f" in slot {plan.slots[b.number]}" if b.number in plan.slots else ""
        lines.append(f"  {b.role} {b}{place}")
    lines += [f"  slot {k} of {nbytes} bytes" for k, nbytes in enumerate(plan.nbytes)]
    _print_body(plan.body, "  ", lines)
    return "\n".join(lines)


def _numbers(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"%{n}" for n in numbers)


def _print_body(body: tuple[Node, ...], indent: str, lines: list[str]) -> None:
    for node in body:
        comment = f"  # {node.origin}" if node.origin else ""
        _PRINTERS[type(node)](node, indent, lines, comment)


def _axes_text(axes: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"i{n}<{extent}" for n, extent in axes)


class _Names:
    """Names the values of a kernel in order, leaving loads, indices and constants in place."""

    def __init__(self, indent: str, lines: list[str]) -> None:
        self.indent, self.lines = indent, lines
        self.texts: dict[Expr, str] = {}
        self.count = 0

    def text(self, root: Expr) -> str:
        for expr in postorder([root], lambda e: e in self.texts):
            text = leaf_text(expr, [self.texts[a] for a in expr.args])
            if expr.args and expr.op != "affine":
                name = f"v{self.count}"
                self.count += 1
                self.lines.append(f"{self.indent}{name}:{short_dtype(expr.dtype)} = {text}")
                text = name
            elif expr.op == "affine":
                text = f"({text})"
            self.texts[expr] = text
        return self.texts[root]


def _print_kernel(k: Kernel, indent: str, lines: list[str], comment: str) -> None:
    flags = " sequential" * k.sequential + " parallel_inner" * k.parallel_inner
    lines.append(f"{indent}kernel [{_axes_text(k.axes)}]{flags}{comment}")
    inner = indent + "  "
    names = _Names(inner, lines)
    for number, r in enumerate(k.reductions):
        lines.append(f"{inner}reduce [{_axes_text(r.axes)}]")
        body = _Names(inner + "  ", lines)
        body.count, body.texts = names.count, dict(names.texts)
        value = body.text(r.value)
        names.count = body.count
        lines.append(f"{inner}  r{number}:{short_dtype(r.dtype)} {r.kind}= {value}")
    for s in k.stores:
        offset, value = names.text(s.offset), names.text(s.value)
        when = f" when {names.text(s.when)}" if s.when is not None else ""
        lines.append(f"{inner}%{s.buffer}[{offset}] {s.combine or ''}= {value}{when}")


def _matrix_text(m: Matrix) -> str:
    return f"%{m.buffer}[{m.offset}; {'x'.join(map(str, m.strides))}]"


def _print_contraction(c: Contraction, indent: str, lines: list[str], comment: str) -> None:
    batch = "x".join(map(str, c.batch)) or "1"
    given = f" of {short_dtype(c.operands)}" if c.operands else ""
    lines.append(
        f"{indent}contract {batch} x ({c.m}, {c.n}, {c.k}) {short_dtype(c.dtype)}{given}:"
        f" {_matrix_text(c.out)} {'+' * c.accumulate}= {_matrix_text(c.left)}"
        f" {_matrix_text(c.right)}{f' in panels of {c.panel}' * bool(c.panel)}{comment}"
    )


def _print_group(g: Group, indent: str, lines: list[str], comment: str) -> None:
    local = f" locals {_numbers(g.locals)}" if g.locals else ""
    lines.append(f"{indent}group {g.extent} by {g.block}{local}{comment}")
    for member in g.members:
        lines.append(f"{indent}  {member.step} a row:")
        _print_body((member.node,), indent + "    ", lines)


def _print_accumulate(a: Accumulate, indent: str, lines: list[str], comment: str) -> None:
    back = " reverse" * a.reverse
    lines.append(f"{indent}accumulate {a.kind}{back} {a.extents}: %{a.out} = %{a.source}{comment}")


def _print_sort(s: Sort, indent: str, lines: list[str], comment: str) -> None:
    lines.append(
        f"{indent}sort {s.extents} num_keys={s.num_keys}:"
        f" {_numbers(s.outs)} = {_numbers(s.sources)}{comment}"
    )


def _print_sort_step(s: SortStep, indent: str, lines: list[str], comment: str) -> None:
    width = "" if s.kind == "results" else f" of {s.width}"
    lines.append(
        f"{indent}sort {s.kind}{width} ({s.length}):"
        f" {_numbers(s.outs)} = {_numbers(s.sources)}{comment}"
    )


def _print_mirror(m: Mirror, indent: str, lines: list[str], comment: str) -> None:
    lines.append(f"{indent}mirror {m.count} times ({m.n}, {m.n}): %{m.out}{comment}")


def _print_routine(r: Routine, indent: str, lines: list[str], comment: str) -> None:
    given = f" from {_numbers(r.sources)}" if r.sources else ""
    lines.append(f"{indent}{r.count} calls of {r.name}: {_numbers(r.outs)}{given}{comment}")


def _print_block_step(s: BlockStep, indent: str, lines: list[str], comment: str) -> None:
    given = tuple(sorted(s.buffers - set(s.outs)))
    source = f" from {_numbers(given)}" if given else ""
    lines.append(f"{indent}{s.count} tasks of {s.name}: {_numbers(s.outs)}{source}{comment}")


def _print_host_call(c: HostCall, indent: str, lines: list[str], comment: str) -> None:
    given = f" from {_numbers(c.sources)}" if c.sources else ""
    lines.append(
        f"{indent}call function {c.number}: {_numbers(c.outs) or 'nothing'}{given}{comment}"
    )


def _print_attention(a: Attention, indent: str, lines: list[str], comment: str) -> None:
    h = a.heads
    lines.append(
        f"{indent}attention {a.kind} {h.batch} x {h.heads} x ({h.queries}, {h.keys}, {h.features})"
        f" {short_dtype(a.dtype)}: {_numbers(a.outs)} = {_numbers(a.sources)}{comment}"
    )


def _print_copy(c: Copy, indent: str, lines: list[str], comment: str) -> None:
    lines.append(
        f"{indent}copy {c.size}: %{c.out}[{c.out_offset}] = %{c.source}[{c.source_offset}]{comment}"
    )


def _print_for(f: For, indent: str, lines: list[str], comment: str) -> None:
    extent = str(f.extent) if f.count is None else f"%{f.count}"
    lines.append(f"{indent}for t{f.counter} < {extent}{' backwards' * f.backwards}{comment}")
    _print_body(f.body, indent + "  ", lines)


def _print_reserve(r: Reserve, indent: str, lines: list[str], comment: str) -> None:
    lines.append(f"{indent}reserve %{r.granted} of %{r.count} rows: {_numbers(r.tapes)}{comment}")


def _print_release(r: Release, indent: str, lines: list[str], comment: str) -> None:
    lines.append(f"{indent}release {_numbers(r.tapes)}{comment}")


def _print_while(w: While, indent: str, lines: list[str], comment: str) -> None:
    lines.append(f"{indent}while{comment}")
    _print_body(w.condition, indent + "  ", lines)
    lines.append(f"{indent}do if %{w.predicate}")
    _print_body(w.body, indent + "  ", lines)


def _print_branch(b: Branch, indent: str, lines: list[str], comment: str) -> None:
    for number, body in enumerate(b.branches):
        lines.append(f"{indent}case %{b.index} == {number}{comment if number == 0 else ''}")
        _print_body(body, indent + "  ", lines)


_PRINTERS: dict[type, Any] = {
    Kernel: _print_kernel,
    Contraction: _print_contraction,
    Accumulate: _print_accumulate,
    Sort: _print_sort,
    SortStep: _print_sort_step,
    Mirror: _print_mirror,
    Routine: _print_routine,
    BlockStep: _print_block_step,
    HostCall: _print_host_call,
    Attention: _print_attention,
    Copy: _print_copy,
    Group: _print_group,
    For: _print_for,
    While: _print_while,
    Reserve: _print_reserve,
    Release: _print_release,
    Branch: _print_branch,
}
