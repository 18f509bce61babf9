// Memory of the emulated device: what was not written is NaN, what lies beyond an end is noticed.
//
// An allocation ends where inaccessible pages begin, but for its alignment; that rest, and what lies
// before it on its first page, is filled with a pattern that is compared after every launch.
#include "launch.h"

#include <sys/mman.h>

#include <cstring>
#include <mutex>

extern "C" {
char *emulator_dynamic_shared;
}

namespace {

constexpr size_t PAGE = 64 << 10; // of any system
constexpr size_t MARGIN = 16 << 20; // inaccessible, on both sides: costs nothing but addresses
constexpr size_t ALIGNMENT = 256;
constexpr uint16_t PATTERN = 0xfff1; // NaN in every format, and unlike those that are computed

struct Allocation {
  char *mapping, *start;
  size_t mapped, bytes;
  Allocation *previous, *next;
  void *cells; // of `races`

  char *front() const { return mapping + MARGIN; }
  char *end() const { return mapping + mapped - MARGIN; }
};

Allocation ring = {nullptr, nullptr, 0, 0, &ring, &ring, nullptr};
std::mutex ring_mutex;

void fill_guard(char *from, char *to) {
  for (char *byte = from; byte < to; ++byte)
    *byte = (char)(PATTERN >> ((uintptr_t)byte % 2 * 8));
}

char *first_change(char *from, char *to) {
  constexpr uint64_t WORD = PATTERN * 0x0001000100010001u;
  for (char *byte = from; byte < to; ++byte) {
    for (; (uintptr_t)byte % 8 == 0 && to - byte >= 8 && *(uint64_t *)byte == WORD; byte += 8)
      ;
    if (byte < to && *byte != (char)(PATTERN >> ((uintptr_t)byte % 2 * 8)))
      return byte;
  }
  return nullptr;
}

// How much of what lies before an allocation is compared.
char *checked_front(const Allocation &a) {
  return a.start - a.front() > 1024 ? a.start - 1024 : a.front();
}

Allocation shared;
uint64_t shared_bytes;

bool allocate(Allocation &a, uint64_t bytes, size_t alignment) {
  size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  size_t accessible = (rounded + PAGE - 1) / PAGE * PAGE;
  a.mapped = accessible + 2 * MARGIN;
  void *mapping = mmap(nullptr, a.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                       -1, 0);
  if (mapping == MAP_FAILED)
    return false;
  a.mapping = (char *)mapping;
  a.bytes = bytes;
  a.start = a.end() - rounded;
  if (accessible)
    mprotect(a.front(), accessible, PROT_READ | PROT_WRITE);
  fill_guard(checked_front(a), a.start);
  fill_guard(a.start + bytes, a.end());
  return true;
}

} // namespace

namespace memory {

void begin_launch(uint64_t bytes) {
  if (!shared.mapping)
    allocate(shared, SHARED_LIMIT, 16);
  shared_bytes = bytes;
  emulator_dynamic_shared = shared.end() - (bytes + 15) / 16 * 16;
  fill_guard(emulator_dynamic_shared - 64, emulator_dynamic_shared);
}

void poison_shared(const Launch &launch) {
  for (uint64_t n = 0; n < launch.shared_variable_count; ++n)
    memset(launch.shared_variables[n].start, 0xff, launch.shared_variables[n].bytes);
  memset(emulator_dynamic_shared, 0xff, shared_bytes);
  fill_guard(emulator_dynamic_shared + shared_bytes, shared.end());
}

bool shared_is_intact() {
  return !first_change(emulator_dynamic_shared - 64, emulator_dynamic_shared) &&
         !first_change(emulator_dynamic_shared + shared_bytes, shared.end());
}

void describe(uintptr_t address) {
  char *at = (char *)address;
  if (shared.mapping && at >= shared.mapping && at < shared.mapping + shared.mapped) {
    report::add(", %lld bytes from the start of %llu bytes of dynamic shared memory",
                (long long)(at - emulator_dynamic_shared), (unsigned long long)shared_bytes);
    return;
  }
  for (Allocation *a = ring.next; a != &ring; a = a->next)
    if (at >= a->mapping && at < a->mapping + a->mapped)
      report::add(", %lld bytes from the start of an allocation of %zu bytes",
                  (long long)(at - a->start), a->bytes);
}

void for_each(void (*visit)(uintptr_t start, size_t bytes, void *&cells)) {
  std::lock_guard<std::mutex> lock(ring_mutex);
  for (Allocation *a = ring.next; a != &ring; a = a->next)
    visit((uintptr_t)a->start, a->bytes, a->cells);
}

bool buffers_are_intact() {
  std::lock_guard<std::mutex> lock(ring_mutex);
  for (Allocation *a = ring.next; a != &ring; a = a->next) {
    char *front = checked_front(*a);
    char *change = first_change(front, a->start);
    if (!change)
      change = first_change(a->start + a->bytes, a->end());
    if (!change)
      continue;
    report::begin();
    report::add("it wrote %lld bytes from the start of an allocation of %zu bytes",
                (long long)(change - a->start), a->bytes);
    fill_guard(front, a->start); // one report is enough
    fill_guard(a->start + a->bytes, a->end());
    return false;
  }
  return true;
}

} // namespace memory

extern "C" {

void *emulator_allocate(uint64_t bytes) {
  Allocation *a = new Allocation();
  if (!allocate(*a, bytes, ALIGNMENT)) {
    delete a;
    return nullptr;
  }
  memset(a->start, 0xff, bytes);
  std::lock_guard<std::mutex> lock(ring_mutex);
  a->previous = &ring;
  a->next = ring.next;
  ring.next->previous = a;
  ring.next = a;
  return a;
}

void *emulator_address(const void *allocation) { return ((const Allocation *)allocation)->start; }

void emulator_free(void *allocation) {
  Allocation *a = (Allocation *)allocation;
  {
    std::lock_guard<std::mutex> lock(ring_mutex);
    a->previous->next = a->next;
    a->next->previous = a->previous;
  }
  munmap(a->mapping, a->mapped);
  if (a->cells)
    munmap(a->cells, a->bytes * races::CELL_BYTES);
  delete a;
}
}
