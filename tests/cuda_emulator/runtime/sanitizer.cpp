// What the code of -fsanitize calls when a check fails (the ABI of libubsan, which is not linked).
#include "launch.h"

namespace {

struct Place {
  const char *file;
  uint32_t line, column;
};

[[noreturn]] void fail(const Place *place, const char *what, unsigned long long value) {
  report::begin();
  report::add(what, value);
  report::add(" in line %u, in ", place->line);
  report::add_place(blockIdx, threadIdx);
  scheduler::abandon();
}

} // namespace

// The data of every check begins with its place.
extern "C" {
void __ubsan_handle_type_mismatch_v1_abort(const Place *place, unsigned long long address) {
  fail(place, "misaligned address %#llx", address);
}
void __ubsan_handle_out_of_bounds_abort(const Place *place, unsigned long long index) {
  fail(place, "index %lld beyond the bounds of an array", index);
}
void __ubsan_handle_divrem_overflow_abort(const Place *place, unsigned long long dividend,
                                          unsigned long long) {
  fail(place, "integer division by zero (or of the smallest by -1) of %lld", dividend);
}
void __ubsan_handle_shift_out_of_bounds_abort(const Place *place, unsigned long long,
                                              unsigned long long bits) {
  fail(place, "shift by %lld bits, more than there are", bits);
}
void __ubsan_handle_float_cast_overflow_abort(const Place *place) {
  fail(place, "conversion of a number to an integer that cannot hold it%.0llu", 0);
}
void __ubsan_handle_add_overflow_abort(const Place *place) {
  fail(place, "overflow of a signed sum%.0llu", 0);
}
void __ubsan_handle_sub_overflow_abort(const Place *place) {
  fail(place, "overflow of a signed difference%.0llu", 0);
}
void __ubsan_handle_mul_overflow_abort(const Place *place) {
  fail(place, "overflow of a signed product%.0llu", 0);
}
void __ubsan_handle_negate_overflow_abort(const Place *place) {
  fail(place, "overflow of a signed negation%.0llu", 0);
}
}
