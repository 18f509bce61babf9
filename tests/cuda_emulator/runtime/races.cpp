// Races: accesses of two threads to one byte, not both atomic and not both reads, with nothing that
// orders them. Kernels compiled with -fsanitize=thread call `__tsan_*` (of which these are ours)
// before every access to memory.
//
// The life of a thread is cut into moments by barriers and by the meetings of its warp. Barriers
// order everything before against everything after; within a warp, vector clocks tell what a lane
// has learnt of another (Lamport 1978, Mattern 1989). Blocks are ordered only by atomic operations
// on one address with a __threadfence() before the first of them. For every byte the last writer
// and two of its readers since are kept, so a race may be missed that a third reader takes part in,
// but none is reported that is none. Writes that leave what is there are none either: several threads
// may write the same value.
#include "launch.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

namespace {

constexpr uint32_t ATOMIC = 1u << 31; // of the number of a moment: the access was atomic
constexpr uint32_t NUMBERS = ATOMIC - 1;

struct Moment {
  uint32_t block, epoch, clock;
  int thread;
};

struct Access {
  uint32_t moment; // 0: none
  uint32_t code;   // offset into the kernel's library
};

struct Cell {
  Access writer, readers[2];
};

static_assert(sizeof(Cell) == races::CELL_BYTES, "memory.cpp releases them");

struct Region {
  uintptr_t start, end;
  Cell *cells;
  bool is_shared;
};

bool enabled;
const char *library; // where the kernel's is loaded
std::vector<Region> regions;
const Region *recent;
Cell *shared_cells;
size_t shared_cell_count;

uint32_t first_moment = 1; // of this launch; smaller numbers are of earlier ones
std::vector<Moment> moments;
uint32_t block, epoch;
uint32_t moment_of[THREAD_LIMIT]; // 0: not yet numbered
uint32_t clocks[THREAD_LIMIT][32];

bool fenced;
std::vector<uint32_t> learnt; // blocks whose writes this block may see
std::unordered_map<uintptr_t, std::vector<uint32_t>> published;

Cell *map_cells(size_t count) {
  void *cells = mmap(nullptr, count * sizeof(Cell), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return cells == MAP_FAILED ? nullptr : (Cell *)cells;
}

void add_shared(uintptr_t start, size_t bytes, size_t *used) {
  regions.push_back({start, start + bytes, shared_cells + *used, true});
  *used += bytes;
}

void list_regions(const Launch &launch) {
  regions.clear();
  recent = nullptr;
  size_t needed = launch.shared_bytes, used = 0;
  for (uint64_t n = 0; n < launch.shared_variable_count; ++n)
    needed += launch.shared_variables[n].bytes;
  if (needed > shared_cell_count) {
    if (shared_cells)
      munmap(shared_cells, shared_cell_count * sizeof(Cell));
    shared_cells = map_cells(shared_cell_count = needed);
  }
  for (uint64_t n = 0; n < launch.shared_variable_count; ++n)
    add_shared((uintptr_t)launch.shared_variables[n].start, launch.shared_variables[n].bytes, &used);
  add_shared((uintptr_t)emulator_dynamic_shared, launch.shared_bytes, &used);
  memory::for_each([](uintptr_t start, size_t bytes, void *&cells) {
    if (!cells && bytes)
      cells = map_cells(bytes);
    regions.push_back({start, start + bytes, (Cell *)cells, false});
  });
  std::sort(regions.begin(), regions.end(),
            [](const Region &a, const Region &b) { return a.start < b.start; });
}

const Region *find(uintptr_t address) {
  if (recent && address >= recent->start && address < recent->end)
    return recent;
  auto after = std::upper_bound(regions.begin(), regions.end(), address,
                                [](uintptr_t a, const Region &r) { return a < r.start; });
  if (after == regions.begin() || address >= (after - 1)->end)
    return nullptr;
  return recent = &*(after - 1);
}

uint32_t current_moment() {
  int thread = scheduler::current_thread();
  if (!moment_of[thread]) {
    moments.push_back({block, epoch, clocks[thread][thread % 32], thread});
    moment_of[thread] = first_moment + (uint32_t)moments.size() - 1;
  }
  return moment_of[thread];
}

const Moment &moment(uint32_t number) { return moments[(number & NUMBERS) - first_moment]; }

bool is_ordered(uint32_t before, uint32_t now, bool is_shared) {
  if ((before & NUMBERS) < first_moment || (before & now & ATOMIC))
    return true;
  const Moment &a = moment(before), &b = moment(now);
  if (a.block != b.block)
    return is_shared || std::find(learnt.begin(), learnt.end(), a.block) != learnt.end();
  if (a.thread == b.thread || a.epoch < b.epoch)
    return true;
  return a.thread / 32 == b.thread / 32 && clocks[b.thread][a.thread % 32] >= a.clock;
}

struct Conflict {
  uintptr_t address; // 0: none
  Access before, now;
  bool wrote, writes;
};

// A write that conflicts with what was before, unless it leaves the bytes as they are: which shows
// when the same thread does the next thing.
struct Doubt {
  Conflict conflict;
  size_t bytes;
  char contents[16];
};

Doubt doubt;

[[noreturn]] void fail(const Conflict &conflict) {
  Access before = conflict.before, now = conflict.now;
  bool wrote = conflict.wrote, writes = conflict.writes;
  report::begin();
  report::add("race: ");
  report::add_place(blockIdx, threadIdx);
  report::add(" %s%s", now.moment & ATOMIC ? "atomically " : "", writes ? "writes" : "reads");
  report::add_code(" in ", now.code);
  report::add(" what ");
  const Moment &other = moment(before.moment);
  report::add_place(block_index(other.block), scheduler::thread_index(other.thread));
  report::add(" %s%s", before.moment & ATOMIC ? "atomically " : "", wrote ? "wrote" : "read");
  report::add_code(" in ", before.code);
  report::add(", and nothing orders the two");
  memory::describe(conflict.address);
  doubt = {};
  scheduler::abandon();
}

void settle() {
  if (!doubt.conflict.address)
    return;
  if (memcmp((const void *)doubt.conflict.address, doubt.contents, doubt.bytes))
    fail(doubt.conflict);
  doubt = {};
}

void read(Cell &cell, uintptr_t address, Access now, bool is_shared) {
  if (cell.readers[0].moment == now.moment || cell.readers[1].moment == now.moment)
    return; // there was no write since
  if (!is_ordered(cell.writer.moment, now.moment, is_shared))
    fail({address, cell.writer, now, true, false});
  Access &kept = cell.readers[0];
  cell.readers[is_ordered(kept.moment, now.moment, is_shared) ? 0 : 1] = now;
}

Conflict write(Cell &cell, uintptr_t address, Access now, bool is_shared) {
  Conflict conflict = {};
  if (!is_ordered(cell.writer.moment, now.moment, is_shared))
    conflict = {address, cell.writer, now, true, true};
  for (const Access &reader : cell.readers)
    if (!is_ordered(reader.moment, now.moment, is_shared))
      conflict = {address, reader, now, false, true};
  cell = {now, {{0, 0}, {0, 0}}};
  return conflict;
}

void write_all(const Region &region, uintptr_t start, uintptr_t end, Access now) {
  Conflict first = {};
  for (uintptr_t address = start; address < end; ++address) {
    Conflict found = write(region.cells[address - region.start], address, now, region.is_shared);
    if (found.address && !first.address)
      first = found;
  }
  if (!first.address)
    return;
  doubt.conflict = first;
  doubt.bytes = std::min<size_t>(end - first.address, sizeof doubt.contents);
  if (now.moment & ATOMIC)
    fail(first);
  memcpy(doubt.contents, (const void *)first.address, doubt.bytes);
}

void access(const void *pointer, size_t bytes, bool writes, uint32_t flag, const void *code) {
  settle();
  uintptr_t address = (uintptr_t)pointer;
  const Region *region = enabled ? find(address) : nullptr;
  if (!region)
    return;
  Access now = {current_moment() | flag, (uint32_t)((const char *)code - library)};
  uintptr_t end = std::min(address + bytes, region->end);
  if (writes)
    return write_all(*region, address, end, now);
  for (; address < end; ++address)
    read(region->cells[address - region->start], address, now, region->is_shared);
}

} // namespace

namespace races {

void begin_launch(const Launch &launch) {
  enabled = launch.races;
  if (!enabled)
    return;
  library = (const char *)launch.kernel - code_offset(launch.kernel);
  first_moment += (uint32_t)moments.size();
  moments.clear();
  published.clear();
  doubt = {};
  list_regions(launch);
}

void begin_block(uint64_t number, int threads) {
  if (!enabled)
    return;
  block = (uint32_t)number;
  epoch = 0;
  fenced = false;
  learnt.clear();
  for (int thread = 0; thread < threads; ++thread) {
    moment_of[thread] = 0;
    for (uint32_t &clock : clocks[thread])
      clock = 0;
    clocks[thread][thread % 32] = 1;
  }
}

void before_waiting() { settle(); }

void at_barrier() {
  ++epoch;
  std::fill_n(moment_of, THREAD_LIMIT, 0);
}

void at_meeting(int warp, unsigned lanes) {
  if (!enabled)
    return;
  uint32_t joined[32] = {};
  for (int lane = 0; lane < 32; ++lane)
    for (int other = 0; other < 32 && lanes >> lane & 1; ++other)
      joined[other] = std::max(joined[other], clocks[32 * warp + lane][other]);
  for (int lane = 0; lane < 32; ++lane) {
    int thread = 32 * warp + lane;
    if (!(lanes >> lane & 1))
      continue;
    std::copy_n(joined, 32, clocks[thread]);
    ++clocks[thread][lane];
    moment_of[thread] = 0;
  }
}

} // namespace races

extern "C" {

void emulator_fence() { fenced = true; }

void emulator_atomic(const void *address, size_t bytes, const void *code) {
  if (!enabled)
    return;
  access(address, bytes, true, ATOMIC, code);
  std::vector<uint32_t> &blocks = published[(uintptr_t)address];
  for (uint32_t other : blocks)
    if (std::find(learnt.begin(), learnt.end(), other) == learnt.end())
      learnt.push_back(other);
  if (fenced && (blocks.empty() || blocks.back() != block))
    blocks.push_back(block);
}

void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}

#define CODE __builtin_return_address(0)
#define ACCESSES(bytes)                                                                            \
  void __tsan_read##bytes(void *p) { access(p, bytes, false, 0, CODE); }                           \
  void __tsan_write##bytes(void *p) { access(p, bytes, true, 0, CODE); }                           \
  void __tsan_unaligned_read##bytes(void *p) { access(p, bytes, false, 0, CODE); }                 \
  void __tsan_unaligned_write##bytes(void *p) { access(p, bytes, true, 0, CODE); }                 \
  void __tsan_volatile_read##bytes(void *p) { access(p, bytes, false, ATOMIC, CODE); }             \
  void __tsan_volatile_write##bytes(void *p) { access(p, bytes, true, ATOMIC, CODE); }             \
  void __tsan_unaligned_volatile_read##bytes(void *p) { access(p, bytes, false, ATOMIC, CODE); }   \
  void __tsan_unaligned_volatile_write##bytes(void *p) { access(p, bytes, true, ATOMIC, CODE); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void *p, size_t bytes) { access(p, bytes, false, 0, CODE); }
void __tsan_write_range(void *p, size_t bytes) { access(p, bytes, true, 0, CODE); }
}
