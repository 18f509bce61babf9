// Grids: blocks one after another, limits of time, and faults of the kernel as reports.
#include "launch.h"

#include "fibers.h"

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <numeric>
#include <pthread.h>
#include <sys/time.h>
#include <ucontext.h>

namespace {

sigjmp_buf escape;
pthread_t launching;
const Launch *running;

} // namespace

namespace report {

char message[MESSAGE_BYTES];

void begin() { message[0] = 0; }

void add(const char *format, ...) {
  size_t used = strlen(message);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message + used, MESSAGE_BYTES - used, format, arguments);
  va_end(arguments);
}

void add_place(uint3 block, uint3 thread) {
  add("block (%u, %u, %u), thread (%u, %u, %u)", block.x, block.y, block.z, thread.x, thread.y,
      thread.z);
}

void add_code(const char *before, uint32_t offset) {
  if (offset)
    add("%scode+0x%x", before, offset);
}

} // namespace report

uint32_t code_offset(const void *code) {
  Dl_info kernel, found;
  if (!dladdr(running->kernel, &kernel) || !dladdr(code, &found) ||
      kernel.dli_fbase != found.dli_fbase)
    return 0;
  return (uint32_t)((const char *)code - (const char *)kernel.dli_fbase);
}

uint3 block_index(uint64_t number) {
  return {(unsigned)(number % gridDim.x), (unsigned)(number / gridDim.x % gridDim.y),
          (unsigned)(number / gridDim.x / gridDim.y)};
}

// SplitMix64 (Steele, Lea and Flood, 2014)
uint64_t random_bits(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

namespace {

const char *describe_signal(int number) {
  switch (number) {
  case SIGFPE: return "integer division by zero";
  case SIGILL: return "illegal instruction";
  case SIGBUS: return "bus error";
  default: return "illegal access";
  }
}

const void *interrupted_code(const void *context) {
#if defined(__x86_64__)
  return (const void *)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (const void *)((const ucontext_t *)context)->uc_mcontext.pc;
#else
  return nullptr;
#endif
}

void on_fault(int number, siginfo_t *info, void *context) {
  if (!pthread_equal(pthread_self(), launching)) {
    if (number == SIGPROF) {
      pthread_kill(launching, SIGPROF);
      return;
    }
    signal(number, SIG_DFL); // not ours: it hits again, and ends the process
    return;
  }
  report::begin();
  if (number == SIGPROF) {
    report::add("not done after %llu seconds of processor time; in ",
                (unsigned long long)running->time_limit);
    report::add_place(blockIdx, threadIdx);
  } else if (number == SIGSEGV &&
             fibers::overflows((uintptr_t)info->si_addr, scheduler::current_stack())) {
    report::add("stack overflow in ");
    report::add_place(blockIdx, threadIdx);
    report::add(": more than 512 KB of local variables");
  } else {
    report::add("%s in ", describe_signal(number));
    report::add_place(blockIdx, threadIdx);
    if (number == SIGSEGV || number == SIGBUS) {
      report::add(": address %p", info->si_addr);
      memory::describe((uintptr_t)info->si_addr);
    }
  }
  report::add_code(", at ", code_offset(interrupted_code(context)));
  siglongjmp(escape, 1);
}

const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPROF};
constexpr int SIGNAL_COUNT = 5;

// Installs the handlers for the time of a launch, with a stack of their own, and a timer.
class Guard {
public:
  explicit Guard(const Launch &launch) {
    stack_t stack = {};
    stack.ss_sp = handler_stack;
    stack.ss_size = sizeof handler_stack;
    sigaltstack(&stack, &old_stack);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int n = 0; n < SIGNAL_COUNT; ++n)
      sigaction(SIGNALS[n], &action, &old_actions[n]);
    set_timer((time_t)launch.time_limit);
  }
  ~Guard() {
    set_timer(0);
    for (int n = 0; n < SIGNAL_COUNT; ++n)
      sigaction(SIGNALS[n], &old_actions[n], nullptr);
    sigaltstack(&old_stack, nullptr);
  }

private:
  static void set_timer(time_t seconds) {
    struct itimerval timer = {};
    timer.it_value.tv_sec = seconds;
    setitimer(ITIMER_PROF, &timer, nullptr);
  }

  static char handler_stack[64 << 10];
  stack_t old_stack;
  struct sigaction old_actions[SIGNAL_COUNT];
};

char Guard::handler_stack[64 << 10];

bool run_one(const Launch &launch, uint64_t number, uint64_t seed) {
  uint3 index = block_index(number);
  memory::poison_shared(launch);
  races::begin_block(number, (int)(blockDim.x * blockDim.y * blockDim.z));
  if (!scheduler::run_block(index, seed))
    return false;
  if (memory::shared_is_intact())
    return true;
  report::begin();
  report::add("block (%u, %u, %u) wrote beyond its %llu bytes of dynamic shared memory", index.x,
              index.y, index.z, (unsigned long long)launch.shared_bytes);
  return false;
}

bool run_grid(const Launch &launch) {
  uint64_t count = (uint64_t)gridDim.x * gridDim.y * gridDim.z;
  uint64_t state = launch.seed, step = 1, number = 0;
  if (launch.seed) { // n -> n + step (mod count) visits every block if the two are coprime
    number = random_bits(state) % count;
    do
      step = random_bits(state) % count + 1;
    while (std::gcd(step, count) != 1);
  }
  for (uint64_t done = 0; done < count; ++done) {
    if (!run_one(launch, number, launch.seed ? random_bits(state) | 1 : 0))
      return false;
    number = (number + step) % count;
  }
  return true;
}

} // namespace

// Zero if the kernel ran through; else emulator_message() tells what happened.
extern "C" int emulator_launch(const Launch *launch) {
  launching = pthread_self();
  running = launch;
  gridDim = {launch->grid[0], launch->grid[1], launch->grid[2]};
  blockDim = {launch->block[0], launch->block[1], launch->block[2]};
  memory::begin_launch(launch->shared_bytes);
  scheduler::begin(*launch);
  races::begin_launch(*launch);
  Guard guard(*launch);
  if (sigsetjmp(escape, 1))
    return 1;
  return !(run_grid(*launch) && memory::buffers_are_intact());
}

extern "C" const char *emulator_message() { return report::message; }
