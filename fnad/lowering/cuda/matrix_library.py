"""Device functions of warps that read matrices in shared memory, and copies on their way there.

``load_matrices`` and ``load_transposed`` read four matrices of 8 x 8 numbers of 16 bits: lane
``8 * m + i`` says where row i of matrix m lies, and each lane gets two neighbours of each matrix,
in the order in which ``multiply_...`` wants them (`fnad.lowering.cuda.library`): of row
``lane / 4``, from column ``lane % 4 * 2`` on; transposed, of column ``lane / 4``, from that row on.

``copy_bytes_4``, ``..._8`` and ``..._16`` begin copies to shared memory of so many bytes, of zeros
where there is nothing to copy; ``await_copies`` waits for all of this thread. Cards before sm_80
copy at once.
"""

from __future__ import annotations

from fnad.lowering.cuda.formulas import Definition

_INLINE = "__device__ __forceinline__"


def _load(name: str, kind: str, otherwise: str) -> Definition:
    return Definition(f"""\
{_INLINE} void {name}(u32* x, const u16* row) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750
  const u32 place = (u32)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4{kind}.shared.b16 {{%0, %1, %2, %3}}, [%4];"
      : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(place) : "memory");
#else
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int m = 0; m < 4; m++) {{
{otherwise}
  }}
#endif
}}
""")


def _copy(nbytes: int) -> Definition:
    kind = "cg" if nbytes == 16 else "ca"
    word = {4: "u32", 8: "u64", 16: "u64x2"}[nbytes]
    return Definition(f"""\
{_INLINE} void copy_bytes_{nbytes}(void* target, const void* source, bool is_there) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const u32 place = (u32)__cvta_generic_to_shared(target), size = is_there ? {nbytes} : 0;
  const u64 from = (u64)__cvta_generic_to_global(source);
  asm volatile("cp.async.{kind}.shared.global [%0], [%1], {nbytes}, %2;"
      :: "r"(place), "l"(from), "r"(size) : "memory");
#else
  *({word}*)target = is_there ? *(const {word}*)source : {word}{{}};
#endif
}}
""", ("u64x2",) if nbytes == 16 else ())  # fmt: skip


def _pair(kind: str) -> Definition:
    return Definition(f"""\
{_INLINE} u32 pair_{kind}(f32 first, f32 second) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  u32 both;
  asm("cvt.rn.{kind}x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
#else
  return (u32)f32_to_{kind}(second).bits << 16 | f32_to_{kind}(first).bits;
#endif
}}
""", (f"f32_to_{kind}",))  # fmt: skip


DEFINITIONS = {
    "load_matrices": _load(
        "load_matrices",
        "",
        "    const u16* line = (const u16*)__shfl_sync(0xffffffffu, (u64)row, m * 8 + lane / 4);\n"
        "    x[m] = *(const u32*)(line + lane % 4 * 2);",
    ),
    "load_transposed": _load(
        "load_transposed",
        ".trans",
        "    const int at = m * 8 + lane % 4 * 2;\n"
        "    const u16* first = (const u16*)__shfl_sync(0xffffffffu, (u64)row, at);\n"
        "    const u16* second = (const u16*)__shfl_sync(0xffffffffu, (u64)row, at + 1);\n"
        "    x[m] = (u32)second[lane / 4] << 16 | first[lane / 4];",
    ),
    "copy_bytes_4": _copy(4),
    "copy_bytes_8": _copy(8),
    "copy_bytes_16": _copy(16),
    "await_copies": Definition(f"""\
{_INLINE} void await_copies() {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}}
"""),
    "pair_bf16": _pair("bf16"),
    "pair_f16": _pair("f16"),
    # To the last bits but one or two, as sums of exponentials need it.
    "rough_exp2": Definition(f"""\
{_INLINE} f32 rough_exp2(f32 x) {{
#ifdef __CUDA_ARCH__
  f32 y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}}
"""),
}  # fmt: skip
