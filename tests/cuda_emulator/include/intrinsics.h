// Bits, conversions, arithmetic of a given rounding, and cached loads.
#pragma once

#define EMULATOR_BITS(name, To, From)                                                              \
  inline To name(From value) {                                                                     \
    To bits;                                                                                       \
    __builtin_memcpy(&bits, &value, sizeof(To));                                                   \
    return bits;                                                                                   \
  }
EMULATOR_BITS(__float_as_int, int, float)
EMULATOR_BITS(__float_as_uint, unsigned, float)
EMULATOR_BITS(__int_as_float, float, int)
EMULATOR_BITS(__uint_as_float, float, unsigned)
EMULATOR_BITS(__double_as_longlong, long long, double)
EMULATOR_BITS(__longlong_as_double, double, long long)
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double((long long)((unsigned long long)high << 32 | (unsigned)low));
}
inline int __double2hiint(double x) { return (int)(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return (int)__double_as_longlong(x); }

inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned)x); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned long long __brevll(unsigned long long x) {
  unsigned long long reversed = 0;
  for (int bit = 0; bit < 64; ++bit)
    reversed |= (x >> bit & 1) << (63 - bit);
  return reversed;
}
inline unsigned __brev(unsigned x) { return (unsigned)(__brevll(x) >> 32); }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  unsigned long long bytes = (unsigned long long)y << 32 | x;
  unsigned result = 0;
  for (int byte = 0; byte < 4; ++byte)
    result |= (unsigned)(bytes >> 8 * (selector >> 4 * byte & 7) & 0xff) << 8 * byte;
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return (unsigned)(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) {
  return (unsigned)((unsigned long long)x * y >> 32);
}
inline long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)((unsigned __int128)x * y >> 64);
}

// Rounded to nearest; -ffp-contract=off keeps the compiler from fusing them.
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
inline float __frsqrt_rn(float x) { return (float)(1.0 / __builtin_sqrt((double)x)); }
inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline double __dsqrt_rn(double x) { return __builtin_sqrt(x); }
inline double __fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }

// Conversions to integers clamp; NaN gives zero, or the top bit where 64 bits are involved.
#define EMULATOR_CONVERSION(name, From, To, smallest, largest, nan, rounded)                       \
  inline To name(From x) {                                                                         \
    if (x != x)                                                                                    \
      return (To)(nan);                                                                            \
    From whole = rounded(x);                                                                       \
    return whole <= (From)(smallest)   ? (To)(smallest)                                            \
           : whole >= (From)(largest) ? (To)(largest)                                              \
                                      : (To)whole;                                                 \
  }
#define EMULATOR_CONVERSIONS(prefix, mode, From, rounded, wide)                                    \
  EMULATOR_CONVERSION(prefix##int_##mode, From, int, -__INT_MAX__ - 1, __INT_MAX__,                \
                      wide ? -__INT_MAX__ - 1 : 0, rounded)                                        \
  EMULATOR_CONVERSION(prefix##uint_##mode, From, unsigned, 0, 2u * __INT_MAX__ + 1,                \
                      wide ? 1u << 31 : 0, rounded)                                                \
  EMULATOR_CONVERSION(prefix##ll_##mode, From, long long, -__LONG_LONG_MAX__ - 1,                  \
                      __LONG_LONG_MAX__, -__LONG_LONG_MAX__ - 1, rounded)                          \
  EMULATOR_CONVERSION(prefix##ull_##mode, From, unsigned long long, 0,                             \
                      2ull * __LONG_LONG_MAX__ + 1, 1ull << 63, rounded)
EMULATOR_CONVERSIONS(__float2, rz, float, __builtin_truncf, false)
EMULATOR_CONVERSIONS(__float2, rn, float, __builtin_rintf, false)
EMULATOR_CONVERSIONS(__float2, rd, float, __builtin_floorf, false)
EMULATOR_CONVERSIONS(__float2, ru, float, __builtin_ceilf, false)
EMULATOR_CONVERSIONS(__double2, rz, double, __builtin_trunc, true)
EMULATOR_CONVERSIONS(__double2, rn, double, __builtin_rint, true)
EMULATOR_CONVERSIONS(__double2, rd, double, __builtin_floor, true)
EMULATOR_CONVERSIONS(__double2, ru, double, __builtin_ceil, true)
inline float __double2float_rn(double x) { return (float)x; }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __ll2float_rn(long long x) { return (float)x; }
inline float __ull2float_rn(unsigned long long x) { return (float)x; }
inline double __int2double_rn(int x) { return (double)x; }
inline double __uint2double_rn(unsigned x) { return (double)x; }
inline double __ll2double_rn(long long x) { return (double)x; }
inline double __ull2double_rn(unsigned long long x) { return (double)x; }

template <class T> inline T __ldg(const T *address) { return *address; }
template <class T> inline T __ldca(const T *address) { return *address; }
template <class T> inline T __ldcg(const T *address) { return *address; }
template <class T> inline T __ldcs(const T *address) { return *address; }
template <class T> inline T __ldlu(const T *address) { return *address; }
template <class T> inline T __ldcv(const T *address) { return *(const volatile T *)address; }
template <class T> struct EmulatorType {
  using Same = T;
};
template <class T> using EmulatorSame = typename EmulatorType<T>::Same; // takes no part in deduction
template <class T> inline void __stcg(T *address, EmulatorSame<T> value) { *address = value; }
template <class T> inline void __stcs(T *address, EmulatorSame<T> value) { *address = value; }
template <class T> inline void __stwb(T *address, EmulatorSame<T> value) { *address = value; }
template <class T> inline void __stwt(T *address, EmulatorSame<T> value) { *address = value; }
