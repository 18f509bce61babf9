// The threads of one block as fibers that take turns: barriers, and the meetings of warps.
//
// A stack runs one thread after the other as long as none has to wait; so a kernel without
// barriers is a plain loop over its threads.
#include "fibers.h"
#include "launch.h"

#include <cstring>
#include <utility>

extern "C" {
uint3 threadIdx, blockIdx, blockDim, gridDim;
}

namespace {

enum State { RUNNABLE, AT_BARRIER, IN_WARP, EXITED };

struct Thread {
  fibers::Context context;
  uint3 index;
  int number, stack;
  State state;
  // Why it waits, and what it gets.
  int line, operation, source;
  unsigned mask;
  uint64_t value, result;

  int warp() const { return number / 32; }
  unsigned lane() const { return number % 32; }
  unsigned bit() const { return 1u << lane(); }
};

const char *const NAMES[] = {"__syncwarp", "__shfl_*_sync", "__ballot_sync", "__any_sync",
                             "__all_sync", "__match_any_sync", "__reduce_add_sync",
                             "__reduce_min_sync", "__reduce_max_sync", "__reduce_min_sync",
                             "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync",
                             "__reduce_xor_sync"};

struct Block {
  const Launch *launch;
  int count, started, live, waiting; // waiting: at the barrier
  int barrier_line, barrier_trues;
  int order[THREAD_LIMIT];    // in which threads start
  Thread *ready[THREAD_LIMIT]; // a ring: those that may go on
  int ready_first, ready_count;
  int free_stacks[THREAD_LIMIT], free_stack_count;
  unsigned absent[THREAD_LIMIT / 32], exited[THREAD_LIMIT / 32]; // lanes, by warp
  unsigned meeting[THREAD_LIMIT / 32];
  Thread threads[THREAD_LIMIT];
  bool failed;
  uint64_t random;
};

Block block;
Thread *current;
fibers::Context launcher, discarded;

bool choose(uint64_t outcomes, uint64_t *chosen) {
  *chosen = block.launch->seed ? random_bits(block.random) % outcomes : 0;
  return *chosen != 0;
}

void make_ready(Thread *thread) {
  thread->state = RUNNABLE;
  block.ready[(block.ready_first + block.ready_count++) % THREAD_LIMIT] = thread;
}

Thread *take_ready() {
  uint64_t ahead;
  if (choose((uint64_t)block.ready_count, &ahead))
    std::swap(block.ready[block.ready_first],
              block.ready[(block.ready_first + ahead) % THREAD_LIMIT]);
  Thread *thread = block.ready[block.ready_first];
  block.ready_first = (block.ready_first + 1) % THREAD_LIMIT;
  --block.ready_count;
  return thread;
}

// Whether a thread that has not begun is next, rather than one that may go on.
bool next_is_fresh() {
  if (block.started == block.count || block.ready_count == 0)
    return block.started < block.count;
  uint64_t resume;
  return !choose(2, &resume);
}

void make_current(Thread *thread) {
  current = thread;
  threadIdx = thread->index;
}

Thread *start_next() {
  Thread *thread = &block.threads[block.order[block.started++]];
  thread->state = RUNNABLE;
  make_current(thread);
  return thread;
}

[[noreturn]] void leave() {
  fibers::go(discarded, launcher);
  __builtin_unreachable();
}

void report_group(const Thread &first, int members) {
  report::add("; %d thread%s", members, members == 1 ? " waits" : "s wait");
  if (first.state == AT_BARRIER)
    report::add(" at the barrier of line %d", first.line);
  else
    report::add(" in %s of line %d for the lanes 0x%08x", NAMES[first.operation], first.line,
                first.mask);
  report::add(", the first is (%u, %u, %u)", first.index.x, first.index.y, first.index.z);
}

bool same_wait(const Thread &a, const Thread &b) {
  return a.state == b.state && a.line == b.line &&
         (a.state == AT_BARRIER || (a.mask == b.mask && a.operation == b.operation));
}

[[noreturn]] void fail_deadlocked() {
  report::begin();
  report::add("deadlock in ");
  report::add_place(blockIdx, threadIdx);
  int groups = 0;
  for (int number = 0; number < block.count; ++number) {
    const Thread &thread = block.threads[number];
    bool known = thread.state == EXITED;
    for (int earlier = 0; earlier < number && !known; ++earlier)
      known = same_wait(block.threads[earlier], thread);
    if (known || ++groups > 8)
      continue;
    int members = 0;
    for (int other = number; other < block.count; ++other)
      members += same_wait(block.threads[other], thread);
    report_group(thread, members);
  }
  report::add("; %d of %d have ended", block.count - block.live, block.count);
  scheduler::abandon();
}

void release_barrier() {
  for (int position = 0; position < block.count; ++position) {
    Thread &thread = block.threads[block.order[position]];
    if (thread.state != AT_BARRIER)
      continue;
    thread.result = (uint64_t)block.barrier_trues << 32 | (uint64_t)block.waiting;
    make_ready(&thread);
  }
  block.waiting = block.barrier_trues = 0;
  races::at_barrier();
}

uint64_t combine(int operation, uint64_t a, uint64_t b) {
  switch (operation) {
  case EMULATOR_ADD: return a + b;
  case EMULATOR_MIN_SIGNED: return (int64_t)a < (int64_t)b ? a : b;
  case EMULATOR_MAX_SIGNED: return (int64_t)a > (int64_t)b ? a : b;
  case EMULATOR_MIN: return a < b ? a : b;
  case EMULATOR_MAX: return a > b ? a : b;
  case EMULATOR_AND: return a & b;
  case EMULATOR_XOR: return a ^ b;
  default: return a | b;
  }
}

[[noreturn]] void fail_in_warp(const Thread &thread, const char *reason, int lane) {
  report::begin();
  report::add("%s of line %d in ", NAMES[thread.operation], thread.line);
  report::add_place(blockIdx, thread.index);
  report::add(", lane %u, with the mask 0x%08x: ", thread.lane(), thread.mask);
  report::add(reason, lane);
  scheduler::abandon();
}

uint64_t result_for(const Thread &thread, unsigned lanes) {
  const Thread *warp = &block.threads[thread.warp() * 32];
  if (thread.operation == EMULATOR_SHUFFLE) {
    if (!(lanes >> thread.source & 1))
      fail_in_warp(thread, "it reads lane %d, which does not take part", thread.source);
    return warp[thread.source].value;
  }
  uint64_t trues = 0, total = thread.value;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(lanes >> lane & 1))
      continue;
    bool is_true = thread.operation == EMULATOR_MATCH ? warp[lane].value == thread.value
                                                      : warp[lane].value != 0;
    trues |= (uint64_t)is_true << lane;
    if (lane != (int)thread.lane())
      total = combine(thread.operation, total, warp[lane].value);
  }
  switch (thread.operation) {
  case EMULATOR_SYNC: return 0;
  case EMULATOR_BALLOT:
  case EMULATOR_MATCH: return trues;
  case EMULATOR_ANY: return trues != 0;
  case EMULATOR_ALL: return trues == lanes;
  default: return total;
  }
}

// Lets the lanes that `mask` names go on if all of them that have not ended have met.
bool meet(int warp, unsigned mask) {
  unsigned lanes = mask & ~block.exited[warp];
  if ((block.meeting[warp] & lanes) != lanes)
    return false;
  Thread *threads = &block.threads[warp * 32];
  const Thread *first = nullptr;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(lanes >> lane & 1))
      continue;
    if (threads[lane].mask != mask)
      return false; // it meets others first
    if (first && threads[lane].operation != first->operation)
      fail_in_warp(threads[lane], "lane %d waits in another operation", (int)first->lane());
    first = &threads[lane];
  }
  for (int lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1)
      threads[lane].result = result_for(threads[lane], lanes);
  races::at_meeting(warp, lanes);
  block.meeting[warp] &= ~lanes;
  for (int lane = 0; lane < 32; ++lane)
    if (lanes >> lane & 1)
      make_ready(&threads[lane]);
  return true;
}

void exit_current() {
  races::before_waiting();
  Thread *thread = current;
  int warp = thread->warp();
  thread->state = EXITED;
  --block.live;
  block.exited[warp] |= thread->bit();
  if (block.live && block.waiting == block.live)
    release_barrier();
  while (block.meeting[warp]) { // those who waited for this lane wait for one less
    bool met = false;
    for (int lane = 0; lane < 32 && !met; ++lane)
      if (block.meeting[warp] >> lane & 1)
        met = meet(warp, block.threads[warp * 32 + lane].mask);
    if (!met)
      return;
  }
}

template <size_t... I> void call(void *kernel, const uint64_t *a, std::index_sequence<I...>) {
  // Arguments that the kernel does not have are passed in vain, which both ABIs allow.
  ((void (*)(decltype((void)I, uint64_t())...))kernel)(a[I]...);
}

void call_kernel() {
  const Launch &launch = *block.launch;
  if (launch.argument_count <= 6)
    call(launch.kernel, launch.arguments, std::make_index_sequence<6>());
  else if (launch.argument_count <= 24)
    call(launch.kernel, launch.arguments, std::make_index_sequence<24>());
  else
    call(launch.kernel, launch.arguments, std::make_index_sequence<512>());
}

// What runs on every stack: threads until all have begun, then those that wait.
void work() {
  int stack = current->stack;
  for (;;) {
    call_kernel();
    exit_current();
    if (next_is_fresh()) {
      start_next()->stack = stack;
      continue;
    }
    if (block.live == 0)
      leave();
    if (block.ready_count == 0)
      fail_deadlocked();
    block.free_stacks[block.free_stack_count++] = stack;
    make_current(take_ready());
    fibers::go(discarded, current->context);
  }
}

void start_on_new_stack(fibers::Context &from) {
  Thread *thread = start_next();
  thread->stack = block.free_stacks[--block.free_stack_count];
  fibers::prepare(thread->context, thread->stack, work);
  fibers::go(from, thread->context);
}

// Suspends the running thread until somebody has made it ready and its turn has come.
void wait() {
  Thread *thread = current;
  if (next_is_fresh())
    return start_on_new_stack(thread->context);
  if (block.ready_count == 0)
    fail_deadlocked();
  make_current(take_ready());
  if (current != thread)
    fibers::go(thread->context, current->context);
}

} // namespace

namespace scheduler {

void begin(const Launch &launch) {
  int count = (int)(blockDim.x * blockDim.y * blockDim.z);
  block.launch = &launch;
  block.count = count;
  block.failed = false;
  for (int number = 0; number < count; ++number) {
    unsigned n = (unsigned)number;
    Thread &thread = block.threads[number];
    thread.number = block.order[number] = number;
    thread.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
  }
  for (int warp = 0; warp < THREAD_LIMIT / 32; ++warp) {
    int lanes = count - 32 * warp;
    block.absent[warp] = lanes <= 0 ? ~0u : lanes < 32 ? ~0u << lanes : 0;
  }
}

bool run_block(uint3 index, uint64_t seed) {
  blockIdx = index;
  block.live = block.count;
  block.started = block.waiting = block.barrier_trues = 0;
  block.ready_first = block.ready_count = 0;
  block.random = seed;
  block.free_stack_count = block.count;
  for (int stack = 0; stack < block.count; ++stack)
    block.free_stacks[stack] = block.count - 1 - stack;
  memcpy(block.exited, block.absent, sizeof block.exited);
  memset(block.meeting, 0, sizeof block.meeting);
  for (int number = block.count - 1; number > 0 && seed; --number)
    std::swap(block.order[number],
              block.order[random_bits(block.random) % (uint64_t)(number + 1)]);
  start_on_new_stack(launcher);
  return !block.failed;
}

int current_stack() { return current->stack; }
int current_thread() { return current->number; }
uint3 thread_index(int number) { return block.threads[number].index; }

void abandon() {
  block.failed = true;
  leave();
}

} // namespace scheduler

extern "C" int emulator_barrier(int line, int predicate, int *threads) {
  Thread *thread = current;
  races::before_waiting();
  if (block.waiting && line != block.barrier_line) {
    report::begin();
    report::add("divergent barriers in ");
    report::add_place(blockIdx, threadIdx);
    report::add(": it reaches the one of line %d, while others wait at that of line %d", line,
                block.barrier_line);
    scheduler::abandon();
  }
  thread->state = AT_BARRIER;
  thread->line = block.barrier_line = line;
  block.barrier_trues += predicate;
  if (++block.waiting == block.live)
    release_barrier();
  wait();
  *threads = (int)(uint32_t)thread->result;
  return (int)(thread->result >> 32);
}

extern "C" unsigned long long emulator_warp(int line, int operation, unsigned mask,
                                            unsigned long long value, int source) {
  Thread *thread = current;
  races::before_waiting();
  thread->line = line;
  thread->operation = operation;
  thread->mask = mask;
  thread->value = value;
  thread->source = source;
  if (!(mask & thread->bit()))
    fail_in_warp(*thread, "the mask does not name the calling lane %d", (int)thread->lane());
  thread->state = IN_WARP;
  block.meeting[thread->warp()] |= thread->bit();
  meet(thread->warp(), mask);
  wait();
  return thread->result;
}

extern "C" void emulator_trap(int line) {
  report::begin();
  report::add("__trap() of line %d in ", line);
  report::add_place(blockIdx, threadIdx);
  scheduler::abandon();
}
