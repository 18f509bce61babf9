"""Device functions that a source carries with it: those of which CUDA has none, or too rough ones.

What they need of CUDA are its mathematical functions and reinterpreting casts, no header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fnad.core.errors import InternalError
from fnad.lowering.cuda import formulas, matrix_library
from fnad.lowering.cuda.formulas import Definition

_INLINE = "__device__ __forceinline__"

_FIXED = {
    # Its bits are the upper ones of a float32.
    "bf16_to_f32": Definition(f"""\
{_INLINE} f32 bf16_to_f32(bf16 x) {{
  return __uint_as_float((u32)x.bits << 16);
}}
"""),
    # Rounded to nearest, ties to even, by a carry out of the lower bits.
    "f32_to_bf16": Definition(f"""\
{_INLINE} bf16 f32_to_bf16(f32 x) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#else
  const u32 bits = __float_as_uint(x), upper = bits >> 16;
  return bf16{{(u16)(x != x ? upper | 0x40 : (bits + (upper & 1) + 0x7fff) >> 16)}};
#endif
}}
"""),
    "f16_to_f32": Definition(f"""\
{_INLINE} f32 f16_to_f32(f16 x) {{
#ifdef __CUDA_ARCH__
  f32 y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
#else
  const u32 sign = (u32)(x.bits & 0x8000) << 16, size = x.bits & 0x7fff;
  if (size >= 0x7c00) return __uint_as_float(sign | 0x7f800000 | size << 13);
  const f32 y = __uint_as_float(size << 13) * 0x1p112f;  // the exponent's bias is another one
  return __uint_as_float(sign | __float_as_uint(y));
#endif
}}
"""),
    "f32_to_f16": Definition(f"""\
{_INLINE} f16 f32_to_f16(f32 x) {{
#ifdef __CUDA_ARCH__
  f16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#else
  return f64_to_f16((f64)x);
#endif
}}
""", ("f64_to_f16",)),
    # Adding what is as large as the last place of the result rounds to it.
    "f64_to_f16": Definition(f"""\
{_INLINE} f16 f64_to_f16(f64 x) {{
#ifdef __CUDA_ARCH__
  f16 y;
  asm("cvt.rn.f16.f64 %0, %1;" : "=h"(y.bits) : "d"(x));
  return y;
#else
  const u64 bits = (u64)__double_as_longlong(x);
  const u16 sign = (u16)(bits >> 48 & 0x8000);
  if (x != x) return f16{{(u16)(sign | 0x7e00)}};
  const f64 size = fabs(x);
  if (size >= 65520.0) return f16{{(u16)(sign | 0x7c00)}};
  const int power = (int)(bits >> 52 & 0x7ff) - 1023, exponent = power < -14 ? -14 : power;
  const f64 shift = __longlong_as_double((i64)(exponent - 10 + 52 + 1023) << 52);
  const int units = (int)(u16)__double_as_longlong(size + shift);
  return f16{{(u16)(sign | (units + (exponent + 14) * 1024))}};
#endif
}}
"""),
    # A warp multiplies 16 x 16 by 16 x 8 numbers. Lane 4 * g + t has rows g and g + 8 of x: terms
    # 2 * t and the next one in x[0] and x[1], those 8 behind in x[2] and x[3]; such terms of column
    # g of y; of the sums columns 2 * t and the next one, of row g in s and t, of g + 8 in u and v.
    "multiply_f16": Definition(f"""\
{_INLINE} void multiply_f16(f32& s, f32& t, f32& u, f32& v, const u32* x, const u32* y) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {{%0, %1, %2, %3}}, {{%4, %5, %6, %7}},"
      " {{%8, %9}}, {{%0, %1, %2, %3}};"
      : "+f"(s), "+f"(t), "+f"(u), "+f"(v)
      : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
#else
  const int lane = threadIdx.x & 31, row = lane & ~3, column = (lane & 3) * 8;
  for (int part = 0; part < 2; part++) {{
    for (int k = 0; k < 4; k++) {{
      u32 upper = __shfl_sync(0xffffffffu, x[2 * part], row + k);
      u32 lower = __shfl_sync(0xffffffffu, x[2 * part + 1], row + k);
      u32 first = __shfl_sync(0xffffffffu, y[part], column + k);
      u32 second = __shfl_sync(0xffffffffu, y[part], column + 4 + k);
      for (int half = 0; half < 2; half++) {{
        const f32 a = f16_to_f32(f16{{(u16)upper}}), b = f16_to_f32(f16{{(u16)lower}});
        const f32 c = f16_to_f32(f16{{(u16)first}}), d = f16_to_f32(f16{{(u16)second}});
        s += a * c, t += a * d, u += b * c, v += b * d;
        upper >>= 16, lower >>= 16, first >>= 16, second >>= 16;
      }}
    }}
  }}
#endif
}}
""", ("f16_to_f32",)),
    "multiply_bf16": Definition(f"""\
{_INLINE} void multiply_bf16(f32& s, f32& t, f32& u, f32& v, const u32* x, const u32* y) {{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {{%0, %1, %2, %3}}, {{%4, %5, %6, %7}},"
      " {{%8, %9}}, {{%0, %1, %2, %3}};"
      : "+f"(s), "+f"(t), "+f"(u), "+f"(v)
      : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));
#else
  const int lane = threadIdx.x & 31, row = lane & ~3, column = (lane & 3) * 8;
  for (int part = 0; part < 2; part++) {{
    for (int k = 0; k < 4; k++) {{
      u32 upper = __shfl_sync(0xffffffffu, x[2 * part], row + k);
      u32 lower = __shfl_sync(0xffffffffu, x[2 * part + 1], row + k);
      u32 first = __shfl_sync(0xffffffffu, y[part], column + k);
      u32 second = __shfl_sync(0xffffffffu, y[part], column + 4 + k);
      for (int half = 0; half < 2; half++) {{
        const f32 a = bf16_to_f32(bf16{{(u16)upper}}), b = bf16_to_f32(bf16{{(u16)lower}});
        const f32 c = bf16_to_f32(bf16{{(u16)first}}), d = bf16_to_f32(bf16{{(u16)second}});
        s += a * c, t += a * d, u += b * c, v += b * d;
        upper >>= 16, lower >>= 16, first >>= 16, second >>= 16;
      }}
    }}
  }}
#endif
}}
""", ("bf16_to_f32",)),
}  # fmt: skip

_INTEGER_NAME = re.compile(r"(divide|remainder|power)_(([iu])(8|16|32|64))")

# Neighbouring elements that are read and written together.
_WORD_NAME = re.compile(r"([a-z]+\d+)x(\d+)")

# T is the type, W the unsigned one to compute in, which C does not widen to int. Divisors that trap
# are 0, and -1 with the smallest number.
_INTEGER_BODIES = {
    "divide_u": "  return (T)(y == 0 ? 0 : x / y);",
    "divide_i": "  return (T)(y == 0 ? 0 : y == -1 ? 0 - (W)x : (W)(x / y));",
    "remainder_u": "  return (T)(y == 0 ? 0 : x % y);",
    "remainder_i": "  return (T)(y == 0 || y == -1 ? 0 : x % y);",
    "power_u": """\
  W power = 1, base = (W)x;
  for (; y; y >>= 1, base *= base) {
    if (y & 1) power *= base;
  }
  return (T)power;""",
    # A negative exponent gives the reciprocal cut to an integer.
    "power_i": """\
  if (y < 0) return (T)(x == 1 ? 1 : x != -1 ? 0 : y & 1 ? -1 : 1);
  W power = 1, base = (W)x;
  for (; y; y >>= 1, base *= base) {
    if (y & 1) power *= base;
  }
  return (T)power;""",
}


def _integer_function(name: str, kind: str, dtype: str, bits: int) -> str:
    body = _INTEGER_BODIES[f"{name}_{kind}"]
    body = re.sub(r"\bT\b", dtype, body)
    body = re.sub(r"\bW\b", f"u{max(bits, 32)}", body)
    return f"{_INLINE} {dtype} {name}_{dtype}({dtype} x, {dtype} y) {{\n{body}\n}}\n"


def definition(name: str) -> Definition:
    """The function of that name."""
    for table in (_FIXED, matrix_library.DEFINITIONS):
        if name in table:
            return table[name]
    if match := _INTEGER_NAME.fullmatch(name):
        return Definition(_integer_function(match[1], match[3], match[2], int(match[4])))
    if match := _WORD_NAME.fullmatch(name):
        element, length = match.groups()
        nbytes = int(re.sub(r"\D", "", element)) * int(length) // 8
        return Definition(f"struct alignas({nbytes}) {name} {{ {element} at[{length}]; }};\n")
    formula = formulas.definition(name)
    if formula is None:
        raise InternalError(f"the CUDA library has no function {name}")
    return formula


def library_text(names: Iterable[str]) -> str:
    """The functions of those names and what they need, each behind what it calls."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name not in done:
            found = definition(name)
            for need in found.needs:
                add(need)
            done.update(found.tables)
            done[name] = found.text

    for name in names:
        add(name)
    return "\n".join(done.values())
