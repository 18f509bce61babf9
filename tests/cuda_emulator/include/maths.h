// CUDA's maths functions: those of the host's libm, and the runtime's (maths.cpp) where it has none.
#pragma once

// name(double), namef(float), and name(float) as an overload
#define EMULATOR_MATHS_1(name)                                                                     \
  extern "C" double name(double);                                                                  \
  extern "C" float name##f(float);                                                                 \
  inline float name(float x) { return name##f(x); }
#define EMULATOR_MATHS_2(name)                                                                     \
  extern "C" double name(double, double);                                                          \
  extern "C" float name##f(float, float);                                                          \
  inline float name(float x, float y) { return name##f(x, y); }
#define EMULATOR_MATHS_3(name)                                                                     \
  extern "C" double name(double, double, double);                                                  \
  extern "C" float name##f(float, float, float);                                                   \
  inline float name(float x, float y, float z) { return name##f(x, y, z); }

EMULATOR_MATHS_1(acos)
EMULATOR_MATHS_1(acosh)
EMULATOR_MATHS_1(asin)
EMULATOR_MATHS_1(asinh)
EMULATOR_MATHS_1(atan)
EMULATOR_MATHS_1(atanh)
EMULATOR_MATHS_1(cbrt)
EMULATOR_MATHS_1(ceil)
EMULATOR_MATHS_1(cos)
EMULATOR_MATHS_1(cosh)
EMULATOR_MATHS_1(erf)
EMULATOR_MATHS_1(erfc)
EMULATOR_MATHS_1(exp)
EMULATOR_MATHS_1(exp10)
EMULATOR_MATHS_1(exp2)
EMULATOR_MATHS_1(expm1)
EMULATOR_MATHS_1(fabs)
EMULATOR_MATHS_1(floor)
EMULATOR_MATHS_1(j0)
EMULATOR_MATHS_1(j1)
EMULATOR_MATHS_1(lgamma)
EMULATOR_MATHS_1(log)
EMULATOR_MATHS_1(log10)
EMULATOR_MATHS_1(log1p)
EMULATOR_MATHS_1(log2)
EMULATOR_MATHS_1(logb)
EMULATOR_MATHS_1(nearbyint)
EMULATOR_MATHS_1(rint)
EMULATOR_MATHS_1(round)
EMULATOR_MATHS_1(sin)
EMULATOR_MATHS_1(sinh)
EMULATOR_MATHS_1(sqrt)
EMULATOR_MATHS_1(tan)
EMULATOR_MATHS_1(tanh)
EMULATOR_MATHS_1(tgamma)
EMULATOR_MATHS_1(trunc)
EMULATOR_MATHS_1(y0)
EMULATOR_MATHS_1(y1)
EMULATOR_MATHS_2(atan2)
EMULATOR_MATHS_2(copysign)
EMULATOR_MATHS_2(fdim)
EMULATOR_MATHS_2(fmax)
EMULATOR_MATHS_2(fmin)
EMULATOR_MATHS_2(fmod)
EMULATOR_MATHS_2(hypot)
EMULATOR_MATHS_2(nextafter)
EMULATOR_MATHS_2(pow)
EMULATOR_MATHS_2(remainder)
EMULATOR_MATHS_3(fma)

// Of maths.cpp
EMULATOR_MATHS_1(cospi)
EMULATOR_MATHS_1(cyl_bessel_i0)
EMULATOR_MATHS_1(cyl_bessel_i1)
EMULATOR_MATHS_1(erfcinv)
EMULATOR_MATHS_1(erfcx)
EMULATOR_MATHS_1(erfinv)
EMULATOR_MATHS_1(normcdf)
EMULATOR_MATHS_1(normcdfinv)
EMULATOR_MATHS_1(rcbrt)
EMULATOR_MATHS_1(rsqrt)
EMULATOR_MATHS_1(sinpi)
EMULATOR_MATHS_1(tanpi)
EMULATOR_MATHS_2(rhypot)
EMULATOR_MATHS_3(norm3d)
EMULATOR_MATHS_3(rnorm3d)


extern "C" {
long lrint(double);
long lrintf(float);
long lround(double);
long lroundf(float);
long long llrint(double);
long long llrintf(float);
long long llround(double);
long long llroundf(float);
int ilogb(double);
int ilogbf(float);
double frexp(double, int *);
float frexpf(float, int *);
double ldexp(double, int);
float ldexpf(float, int);
double scalbn(double, int);
float scalbnf(float, int);
double modf(double, double *);
float modff(float, float *);
double remquo(double, double, int *);
float remquof(float, float, int *);
double jn(int, double);
float jnf(int, float);
double yn(int, double);
float ynf(int, float);
double nan(const char *);
float nanf(const char *);
void sincos(double, double *, double *);
void sincosf(float, float *, float *);
void sincospi(double, double *, double *);
void sincospif(float, float *, float *);
int printf(const char *, ...);
}
inline float frexp(float x, int *exponent) { return frexpf(x, exponent); }
inline float ldexp(float x, int exponent) { return ldexpf(x, exponent); }
inline float scalbn(float x, int exponent) { return scalbnf(x, exponent); }
inline float modf(float x, float *whole) { return modff(x, whole); }
inline float remquo(float x, float y, int *quotient) { return remquof(x, y, quotient); }

inline bool isnan(double x) { return x != x; }
inline bool isnan(float x) { return x != x; }
inline bool isinf(double x) { return __builtin_isinf(x); }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline bool isfinite(double x) { return __builtin_isfinite(x); }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline bool signbit(double x) { return __builtin_signbit(x); }
inline bool signbit(float x) { return __builtin_signbit(x); }

inline int abs(int x) { return x < 0 ? -x : x; }
inline long abs(long x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline long long llabs(long long x) { return x < 0 ? -x : x; }
inline float abs(float x) { return __builtin_fabsf(x); }
inline double abs(double x) { return __builtin_fabs(x); }

#define EMULATOR_MIN_MAX(T)                                                                        \
  inline T min(T x, T y) { return y < x ? y : x; }                                                 \
  inline T max(T x, T y) { return y > x ? y : x; }
EMULATOR_MIN_MAX(int)
EMULATOR_MIN_MAX(unsigned)
EMULATOR_MIN_MAX(long)
EMULATOR_MIN_MAX(unsigned long)
EMULATOR_MIN_MAX(long long)
EMULATOR_MIN_MAX(unsigned long long)
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }
inline double min(double x, double y) { return fmin(x, y); }
inline double max(double x, double y) { return fmax(x, y); }

// The fast variants are merely less accurate on the device.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
