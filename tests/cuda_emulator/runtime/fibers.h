// Stacks for the threads of a block, and the switch from one to the next.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fibers {

// Local arrays of a device thread are limited to 512 KB; pages that are not touched cost nothing.
constexpr size_t STACK_BYTES = 576 << 10;
constexpr size_t GUARD_BYTES = 64 << 10;
constexpr int LIMIT = 1024;

// What has been suspended: its stack pointer, and with ucontext its whole context.
struct Context {
  void *stack_pointer;
};

// Leaves the running code in `from` and goes on with `to`.
void go(Context &from, Context &to);

// A context that calls `entry` on the stack of the given number; `entry` must not return.
void prepare(Context &context, int stack, void (*entry)());

// Whether an address lies where the overflow of a stack hits.
bool overflows(uintptr_t address, int stack);

} // namespace fibers
