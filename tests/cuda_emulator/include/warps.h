// Barriers, shuffles, votes and reductions. Lines are those of the caller, for reports.
#pragma once

inline void __syncthreads(int line = __builtin_LINE()) {
  int threads;
  emulator_barrier(line, 0, &threads);
}
inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
  int threads;
  return emulator_barrier(line, predicate != 0, &threads);
}
inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
  int threads;
  return emulator_barrier(line, predicate != 0, &threads) != 0;
}
inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
  int threads;
  int count = emulator_barrier(line, predicate != 0, &threads);
  return count == threads;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  emulator_warp(line, EMULATOR_SYNC, mask, 0, 0);
}

template <class T> inline T emulator_shuffle(int line, unsigned mask, T value, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 32 or 64 bits");
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = emulator_warp(line, EMULATOR_SHUFFLE, mask, bits, source);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

// Which lane is read, from where the segments of `width` lanes begin.
inline int emulator_source(int lane, int source, int width, bool inside) {
  return inside ? (lane & ~(width - 1)) + source : lane;
}

#define EMULATOR_SHUFFLES(T)                                                                       \
  inline T __shfl_sync(unsigned mask, T value, int source, int width = 32,                         \
                       int line = __builtin_LINE()) {                                              \
    int lane = emulator_lane();                                                                    \
    return emulator_shuffle(line, mask, value,                                                     \
                            emulator_source(lane, source & (width - 1), width, true));             \
  }                                                                                                \
  inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,                  \
                          int line = __builtin_LINE()) {                                           \
    int lane = emulator_lane(), source = (lane & (width - 1)) - (int)delta;                        \
    return emulator_shuffle(line, mask, value, emulator_source(lane, source, width, source >= 0)); \
  }                                                                                                \
  inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,                \
                            int line = __builtin_LINE()) {                                         \
    int lane = emulator_lane(), source = (lane & (width - 1)) + (int)delta;                        \
    return emulator_shuffle(line, mask, value,                                                     \
                            emulator_source(lane, source, width, source < width));                 \
  }                                                                                                \
  inline T __shfl_xor_sync(unsigned mask, T value, int flipped, int width = 32,                    \
                           int line = __builtin_LINE()) {                                          \
    /* lanes of earlier segments may be read, those of later ones not */                           \
    int lane = emulator_lane(), source = lane ^ flipped;                                           \
    bool inside = source < ((lane & ~(width - 1)) + width);                                        \
    return emulator_shuffle(line, mask, value, inside ? source : lane);                            \
  }

EMULATOR_SHUFFLES(int)
EMULATOR_SHUFFLES(unsigned)
EMULATOR_SHUFFLES(long)
EMULATOR_SHUFFLES(unsigned long)
EMULATOR_SHUFFLES(long long)
EMULATOR_SHUFFLES(unsigned long long)
EMULATOR_SHUFFLES(float)
EMULATOR_SHUFFLES(double)

inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return (unsigned)emulator_warp(line, EMULATOR_BALLOT, mask, predicate != 0, 0);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return (int)emulator_warp(line, EMULATOR_ANY, mask, predicate != 0, 0);
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
  return (int)emulator_warp(line, EMULATOR_ALL, mask, predicate != 0, 0);
}
template <class T>
inline unsigned __match_any_sync(unsigned mask, T value, int line = __builtin_LINE()) {
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  return (unsigned)emulator_warp(line, EMULATOR_MATCH, mask, bits, 0);
}

// Nothing promises that other lanes are active: a legal answer, and the hardest for the caller.
inline unsigned __activemask() { return 1u << emulator_lane(); }

#define EMULATOR_REDUCTION(name, T, operation)                                                     \
  inline T name(unsigned mask, T value, int line = __builtin_LINE()) {                             \
    return (T)emulator_warp(line, operation, mask, (unsigned long long)(long long)value, 0);       \
  }
EMULATOR_REDUCTION(__reduce_add_sync, int, EMULATOR_ADD)
EMULATOR_REDUCTION(__reduce_add_sync, unsigned, EMULATOR_ADD)
EMULATOR_REDUCTION(__reduce_min_sync, int, EMULATOR_MIN_SIGNED)
EMULATOR_REDUCTION(__reduce_min_sync, unsigned, EMULATOR_MIN)
EMULATOR_REDUCTION(__reduce_max_sync, int, EMULATOR_MAX_SIGNED)
EMULATOR_REDUCTION(__reduce_max_sync, unsigned, EMULATOR_MAX)
EMULATOR_REDUCTION(__reduce_and_sync, unsigned, EMULATOR_AND)
EMULATOR_REDUCTION(__reduce_or_sync, unsigned, EMULATOR_OR)
EMULATOR_REDUCTION(__reduce_xor_sync, unsigned, EMULATOR_XOR)

[[noreturn]] inline void __trap(int line = __builtin_LINE()) { emulator_trap(line); }
