// The launch in progress: what the scheduler, the memory and the handlers of faults share.
#pragma once

#define EMULATOR_RUNTIME
#include "../include/interface.h"

#include <cstddef>
#include <cstdint>

struct Range {
  char *start;
  uint64_t bytes;
};

// What Python passes; the layout is that of `_Launch` in device.py.
struct Launch {
  void *kernel;
  const uint64_t *arguments;
  const Range *shared_variables; // static ones, poisoned before every block
  uint64_t argument_count, shared_variable_count, shared_bytes;
  uint64_t seed; // 0: everything in its natural order
  uint64_t time_limit; // seconds of processor time
  uint64_t races;      // whether to look for them
  uint32_t grid[3], block[3];
};

constexpr size_t MESSAGE_BYTES = 2000;
constexpr size_t SHARED_LIMIT = 227 << 10;
constexpr int THREAD_LIMIT = 1024;

namespace report {
extern char message[MESSAGE_BYTES];
void begin();
void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
void add_place(uint3 block, uint3 thread);
// Adds "<before>code+0x12ab", which Python turns into a line, if the kernel's module has this code.
void add_code(const char *before, uint32_t offset);
} // namespace report

namespace scheduler {
void begin(const Launch &launch);
// Runs all threads of one block; false if it could not end, which the report explains.
bool run_block(uint3 block, uint64_t seed);
int current_stack();
int current_thread();
uint3 thread_index(int number);
// Ends the block from within a thread of the device, which must have written the report.
[[noreturn]] void abandon();
} // namespace scheduler

namespace memory {
// Places the dynamic shared memory of a block so that it ends where inaccessible pages begin.
void begin_launch(uint64_t shared_bytes);
void poison_shared(const Launch &launch);
bool shared_is_intact();
// False if a guard of an allocation has changed, which the report tells.
bool buffers_are_intact();
// Adds to the report where an address lies.
void describe(uintptr_t address);
// Calls `visit` with every allocation and what `races` keeps for it.
void for_each(void (*visit)(uintptr_t start, size_t bytes, void *&cells));
} // namespace memory

namespace races {
constexpr size_t CELL_BYTES = 24; // what is kept for a byte
void begin_launch(const Launch &launch);
void begin_block(uint64_t number, int threads);
void before_waiting(); // for others, or for good
void at_barrier();
void at_meeting(int warp, unsigned lanes);
} // namespace races

// Where code lies in the library of the kernel; 0 if it does not.
uint32_t code_offset(const void *code);
uint3 block_index(uint64_t number);

uint64_t random_bits(uint64_t &state);
