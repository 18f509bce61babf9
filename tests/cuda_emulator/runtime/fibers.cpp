#include "fibers.h"

#include <sys/mman.h>

#include <cstdlib>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace fibers {
namespace {

char *region = nullptr;
bool mapped[LIMIT];

// Stacks begin at different cache lines of their pages: else all tops would share a few sets.
char *top_of(int stack) {
  size_t stagger = (size_t)(stack % 61) * 64;
  return region + (size_t)(stack + 1) * STACK_BYTES - stagger;
}

void map(int stack) {
  if (!region) {
    void *address = mmap(nullptr, LIMIT * STACK_BYTES, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
      abort();
    region = (char *)address;
  }
  if (!mapped[stack]) {
    mprotect(region + stack * STACK_BYTES + GUARD_BYTES, STACK_BYTES - GUARD_BYTES,
             PROT_READ | PROT_WRITE);
    mapped[stack] = true;
  }
}

} // namespace

bool overflows(uintptr_t address, int stack) {
  uintptr_t start = (uintptr_t)region + (size_t)stack * STACK_BYTES;
  return address >= start && address < start + GUARD_BYTES;
}

#if defined(__x86_64__)

extern "C" void emulator_switch(void **save, void *load);
asm(R"(
.text
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
)");
constexpr int RETURN = 6, FRAME = 8; // words; RETURN holds the address to go on at

#elif defined(__aarch64__)

extern "C" void emulator_switch(void **save, void *load);
asm(R"(
.text
.type emulator_switch, %function
emulator_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
constexpr int RETURN = 11, FRAME = 20; // words; RETURN is the place of x30

#endif

#if defined(__x86_64__) || defined(__aarch64__)

void go(Context &from, Context &to) { emulator_switch(&from.stack_pointer, to.stack_pointer); }

void prepare(Context &context, int stack, void (*entry)()) {
  map(stack);
  void **frame = (void **)((uintptr_t)top_of(stack) & ~(uintptr_t)15) - FRAME;
  for (int word = 0; word < FRAME; ++word)
    frame[word] = nullptr;
  frame[RETURN] = (void *)entry;
  context.stack_pointer = frame;
}

#else

void go(Context &from, Context &to) {
  // A suspended context stands on its own stack, which outlives the suspension.
  ucontext_t here;
  from.stack_pointer = &here;
  swapcontext(&here, (ucontext_t *)to.stack_pointer);
}

void prepare(Context &context, int stack, void (*entry)()) {
  map(stack);
  static ucontext_t fresh[LIMIT];
  getcontext(&fresh[stack]);
  fresh[stack].uc_stack.ss_sp = region + stack * STACK_BYTES + GUARD_BYTES;
  fresh[stack].uc_stack.ss_size = top_of(stack) - (char *)fresh[stack].uc_stack.ss_sp;
  fresh[stack].uc_link = nullptr;
  makecontext(&fresh[stack], entry, 0);
  context.stack_pointer = &fresh[stack];
}

#endif

} // namespace fibers
