// Atomic operations: all threads of the device share one thread of the host, so plain ones do.
// The overloads are those of CUDA and no more: what compiles here should compile there.
#pragma once

#ifdef EMULATOR_RACES // each is a function of its own, which tells of the access and its caller
#define EMULATOR_ATOMIC_FUNCTION __attribute__((noinline, no_sanitize("thread"))) inline
#define EMULATOR_TELL(address)                                                                     \
  emulator_atomic(address, sizeof *address, __builtin_return_address(0))
#define EMULATOR_FENCE emulator_fence()
#else
#define EMULATOR_ATOMIC_FUNCTION inline
#define EMULATOR_TELL(address)
#define EMULATOR_FENCE asm volatile("" ::: "memory")
#endif

#define EMULATOR_ATOMIC(name, T, expression)                                                       \
  EMULATOR_ATOMIC_FUNCTION T name(T *address, T value) {                                           \
    EMULATOR_TELL(address);                                                                        \
    T old = *address;                                                                              \
    *address = (expression);                                                                       \
    return old;                                                                                    \
  }
#define EMULATOR_ATOMIC_OF(T)                                                                      \
  EMULATOR_ATOMIC(atomicExch, T, value)                                                            \
  EMULATOR_ATOMIC(atomicMin, T, value < old ? value : old)                                         \
  EMULATOR_ATOMIC(atomicMax, T, value > old ? value : old)                                         \
  EMULATOR_ATOMIC(atomicAnd, T, old &value)                                                        \
  EMULATOR_ATOMIC(atomicOr, T, old | value)                                                        \
  EMULATOR_ATOMIC(atomicXor, T, old ^ value)                                                       \
  EMULATOR_ATOMIC_CAS(T)
#define EMULATOR_ATOMIC_CAS(T)                                                                     \
  EMULATOR_ATOMIC_FUNCTION T atomicCAS(T *address, T compare, T value) {                           \
    EMULATOR_TELL(address);                                                                        \
    T old = *address;                                                                              \
    if (old == compare)                                                                            \
      *address = value;                                                                            \
    return old;                                                                                    \
  }

EMULATOR_ATOMIC_OF(int)
EMULATOR_ATOMIC_OF(unsigned)
EMULATOR_ATOMIC_OF(unsigned long long)
EMULATOR_ATOMIC(atomicMin, long long, value < old ? value : old)
EMULATOR_ATOMIC(atomicMax, long long, value > old ? value : old)
EMULATOR_ATOMIC(atomicExch, float, value)
EMULATOR_ATOMIC_CAS(unsigned short)

EMULATOR_ATOMIC(atomicAdd, int, (int)((unsigned)old + (unsigned)value))
EMULATOR_ATOMIC(atomicAdd, unsigned, old + value)
EMULATOR_ATOMIC(atomicAdd, unsigned long long, old + value)
EMULATOR_ATOMIC(atomicAdd, float, old + value)
EMULATOR_ATOMIC(atomicAdd, double, old + value)
EMULATOR_ATOMIC(atomicSub, int, (int)((unsigned)old - (unsigned)value))
EMULATOR_ATOMIC(atomicSub, unsigned, old - value)
EMULATOR_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
EMULATOR_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)

inline void __threadfence() { EMULATOR_FENCE; }
inline void __threadfence_block() { asm volatile("" ::: "memory"); }
inline void __threadfence_system() { EMULATOR_FENCE; }
