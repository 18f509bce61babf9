// What the kernels and the runtime know of each other.
#pragma once

#ifdef EMULATOR_RUNTIME
#define EMULATOR_CONSTANT
#else
#define EMULATOR_CONSTANT const // while a thread of the device runs
#endif

struct uint3 {
  unsigned x, y, z;
};

extern "C" {
extern EMULATOR_CONSTANT uint3 threadIdx, blockIdx, blockDim, gridDim;
extern char *EMULATOR_CONSTANT emulator_dynamic_shared;

enum EmulatorWarpOperation {
  EMULATOR_SYNC,
  EMULATOR_SHUFFLE,
  EMULATOR_BALLOT,
  EMULATOR_ANY,
  EMULATOR_ALL,
  EMULATOR_MATCH,
  EMULATOR_ADD,
  EMULATOR_MIN_SIGNED,
  EMULATOR_MAX_SIGNED,
  EMULATOR_MIN,
  EMULATOR_MAX,
  EMULATOR_AND,
  EMULATOR_OR,
  EMULATOR_XOR,
};

// Waits for the whole block; returns for how many threads the predicate holds.
int emulator_barrier(int line, int predicate, int *threads);

// Waits for the lanes that `mask` names; `source` is the lane that a shuffle reads.
unsigned long long emulator_warp(int line, int operation, unsigned mask, unsigned long long value,
                                 int source);
// For the detector of races.
void emulator_fence();
void emulator_atomic(const void *address, __SIZE_TYPE__ bytes, const void *code);

[[noreturn]] void emulator_trap(int line);
}

inline int emulator_lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31;
}
