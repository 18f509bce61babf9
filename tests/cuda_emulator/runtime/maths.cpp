// The maths functions of CUDA that libm lacks, from their definitions; floats go through doubles.
#include <cmath>

namespace {

const double PI = 3.141592653589793238462643383279502884;
const double SQRT2 = 1.414213562373095048801688724209698079;

// exp(x^2) erfc(x) for x >= 0; beyond 12 by the asymptotic series, whose terms then fall fast.
double scaled_erfc(double x) {
  if (x < 12)
    return std::exp(x * x) * std::erfc(x);
  double term = 1, sum = 1;
  for (int k = 1; k < 20; ++k)
    sum += term *= -(2 * k - 1) / (2 * x * x);
  return sum / (x * std::sqrt(PI));
}

// The inverse of erfc on (0, 1]: Newton on the logarithm, which is nearly a parabola.
double inverse_erfc(double y) {
  double x = y > 0.25 ? (1 - y) * 0.886226925452758 : std::sqrt(-std::log(y * std::sqrt(PI) * 1.5));
  for (int step = 0; step < 60; ++step) {
    // log erfc(x) = log scaled_erfc(x) - x^2, with derivative -2 / (sqrt(pi) scaled_erfc(x))
    double scaled = scaled_erfc(x);
    double change = (std::log(scaled) - x * x - std::log(y)) * std::sqrt(PI) * scaled / 2;
    x += change;
    if (std::fabs(change) <= 1e-17 * std::fabs(x))
      break;
  }
  return x;
}

// x reduced to [-1/2, 1/2] and the parity of what was taken off: both exact.
double reduced(double x, bool *odd) {
  double whole = std::rint(x);
  *odd = std::fmod(whole, 2) != 0;
  return x - whole;
}

} // namespace

extern "C" {

double rsqrt(double x) { return 1 / std::sqrt(x); }
double rcbrt(double x) { return 1 / std::cbrt(x); }
double rhypot(double x, double y) { return 1 / std::hypot(x, y); }
double norm3d(double x, double y, double z) { return std::hypot(x, y, z); }
double rnorm3d(double x, double y, double z) { return 1 / std::hypot(x, y, z); }

double sinpi(double x) {
  bool odd;
  double rest = reduced(x, &odd);
  if (rest == 0)
    return std::copysign(0.0, x);
  return odd ? -std::sin(PI * rest) : std::sin(PI * rest);
}

double cospi(double x) {
  bool odd;
  double rest = reduced(x, &odd);
  if (std::fabs(rest) == 0.5)
    return 0;
  return odd ? -std::cos(PI * rest) : std::cos(PI * rest);
}

double tanpi(double x) { return sinpi(x) / cospi(x); }

void sincospi(double x, double *sine, double *cosine) {
  *sine = sinpi(x);
  *cosine = cospi(x);
}

void sincospif(float x, float *sine, float *cosine) {
  *sine = (float)sinpi(x);
  *cosine = (float)cospi(x);
}

double erfcx(double x) {
  return x >= 0 ? scaled_erfc(x) : std::exp(x * x) * std::erfc(x);
}

double erfcinv(double y) {
  if (!(y > 0 && y < 2))
    return y == 0 ? INFINITY : y == 2 ? -INFINITY : NAN;
  return y <= 1 ? inverse_erfc(y) : -inverse_erfc(2 - y);
}

double erfinv(double y) {
  if (!(std::fabs(y) < 1))
    return std::fabs(y) == 1 ? std::copysign(INFINITY, y) : NAN;
  if (std::fabs(y) > 0.5)
    return std::copysign(inverse_erfc(1 - std::fabs(y)), y);
  double x = y * 0.886226925452758;
  for (int step = 0; step < 20; ++step)
    x -= (std::erf(x) - y) * std::sqrt(PI) / 2 * std::exp(x * x);
  return x;
}

double normcdf(double x) { return std::erfc(-x / SQRT2) / 2; }
double normcdfinv(double y) { return -SQRT2 * erfcinv(2 * y); }
double cyl_bessel_i0(double x) { return std::cyl_bessel_i(0, std::fabs(x)); }
double cyl_bessel_i1(double x) {
  return std::copysign(std::cyl_bessel_i(1, std::fabs(x)), x);
}

#define FLOAT_1(name)                                                                              \
  float name##f(float x) { return (float)name((double)x); }
FLOAT_1(rsqrt)
FLOAT_1(rcbrt)
FLOAT_1(sinpi)
FLOAT_1(cospi)
FLOAT_1(tanpi)
FLOAT_1(erfcx)
FLOAT_1(erfcinv)
FLOAT_1(erfinv)
FLOAT_1(normcdf)
FLOAT_1(normcdfinv)
FLOAT_1(cyl_bessel_i0)
FLOAT_1(cyl_bessel_i1)
float rhypotf(float x, float y) { return (float)rhypot(x, y); }
float norm3df(float x, float y, float z) { return (float)norm3d(x, y, z); }
float rnorm3df(float x, float y, float z) { return (float)rnorm3d(x, y, z); }
}
