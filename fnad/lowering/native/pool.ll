; Memory of results: blocks that are kept when an array dies, for the next result of its size.
;
; Fresh memory costs a page fault for every 4 KiB, several times what writing it costs. So blocks
; are not given back to the system at once: `take` finds an idle block of the same class of sizes.
; Classes are multiples of 64 bytes up to 1 KiB, then four to a doubling. At most `fnad.config.pool_bytes`
; lie idle; if a block would exceed that, all idle ones go back to the system first, as they are of
; sizes that are not wanted any more.
;
; All functions need the interpreter lock, which is what keeps threads and forks apart.

%Block = type { i64, i64, ptr, ptr, i64 } ; capacity, class, next idle, address, bytes mapped or 0

@idle = internal global [192 x ptr] zeroinitializer ; the first idle block of each class
@idle_bytes = internal global i64 0
@limit_place = internal global ptr null
@mapped_blocks = internal global i64 0

declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @munmap(ptr, i64)
declare i32 @madvise(ptr, i64, i32)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.ctlz.i64(i64, i1)
declare {i64, i1} @llvm.umul.with.overflow.i64(i64, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define i64 @fnad.pool.idle_bytes() nounwind {
  %bytes = load i64, ptr @idle_bytes
  ret i64 %bytes
}

; Say where the number of bytes is that may lie idle.
define void @fnad.pool.watch(ptr %limit) nounwind {
  store ptr %limit, ptr @limit_place
  ret void
}

; Memory of at least `size` bytes, aligned to 64; null if there is none.
define ptr @fnad.pool.take(i64 %size) nounwind {
entry:
  %absurd = icmp ugt i64 %size, 70368744177664 ; 2^46
  br i1 %absurd, label %refused, label %sized
refused:
  ret ptr null
sized:
  %small = icmp ule i64 %size, 1024
  br i1 %small, label %linear, label %geometric
linear:
  %some = call i64 @llvm.umax.i64(i64 %size, i64 1)
  %padded = add i64 %some, 63
  %lines = lshr i64 %padded, 6
  %line_bytes = shl i64 %lines, 6
  br label %classed
geometric:
  %last = sub i64 %size, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %last, i1 true)
  %exponent = sub i64 63, %zeros
  %shift = sub i64 %exponent, 2
  %quarters = lshr i64 %last, %shift ; 4 to 7
  %ceiling = add i64 %quarters, 1
  %quarter_bytes = shl i64 %ceiling, %shift
  %fourfold = shl i64 %exponent, 2
  %sum = add i64 %fourfold, %quarters
  %number = sub i64 %sum, 27 ; 17 follows 16, the class of 1 KiB
  br label %classed
classed:
  %class = phi i64 [ %lines, %linear ], [ %number, %geometric ]
  %capacity = phi i64 [ %line_bytes, %linear ], [ %quarter_bytes, %geometric ]
  %place = getelementptr [192 x ptr], ptr @idle, i64 0, i64 %class
  %block = load ptr, ptr %place
  %none = icmp eq ptr %block, null
  br i1 %none, label %fresh, label %reused
reused:
  %next_place = getelementptr %Block, ptr %block, i64 0, i32 2
  %next = load ptr, ptr %next_place
  store ptr %next, ptr %place
  %idle = load i64, ptr @idle_bytes
  %rest = sub i64 %idle, %capacity
  store i64 %rest, ptr @idle_bytes
  %data = getelementptr i8, ptr %block, i64 64
  ret ptr %data
fresh:
  %first = call ptr @allocate(i64 %size, i64 %capacity, i64 %class)
  %failed = icmp eq ptr %first, null
  br i1 %failed, label %again, label %given
again: ; idle blocks of other classes may be in the way
  call void @fnad.pool.trim()
  %second = call ptr @allocate(i64 %size, i64 %capacity, i64 %class)
  br label %given
given:
  %new = phi ptr [ %first, %fresh ], [ %second, %again ]
  ret ptr %new
}

; A new block from the system, first used for `size` bytes; its data or null.
define internal ptr @allocate(i64 %size, i64 %capacity, i64 %class) nounwind noinline {
entry:
  %large = icmp uge i64 %capacity, 1048576
  br i1 %large, label %map, label %heap
heap:
  %heap_bytes = add i64 %capacity, 128
  %heap_address = call ptr @malloc(i64 %heap_bytes)
  %heap_failed = icmp eq ptr %heap_address, null
  br i1 %heap_failed, label %failed, label %heap_ok
heap_ok:
  %heap_number = ptrtoint ptr %heap_address to i64
  %heap_beyond = add i64 %heap_number, 127
  %heap_data = and i64 %heap_beyond, -64
  br label %ready
map: ; data starts where a huge page does, but for some cache lines that tell blocks apart:
  ; arrays that are read and written together must not lie at the same distance from a page
  %map_bytes = add i64 %capacity, $slack
  %map_address = call ptr @mmap(ptr null, i64 %map_bytes, i32 3, i32 $map_flags, i32 -1, i64 0)
  %map_number = ptrtoint ptr %map_address to i64
  %map_failed = icmp eq i64 %map_number, -1
  br i1 %map_failed, label %failed, label %map_ok
map_ok:
  %map_beyond = add i64 %map_number, 2101247 ; 2 MiB and the 4 KiB of the header, less 1
  %map_base = and i64 %map_beyond, -2097152
  %count = load i64, ptr @mapped_blocks
  %count_next = add i64 %count, 1
  store i64 %count_next, ptr @mapped_blocks
  %turn = mul i64 %count, 5
  %colour = and i64 %turn, 63
  %colour_bytes = shl i64 %colour, 6
  %map_data = add i64 %map_base, %colour_bytes
  %used = add i64 %colour_bytes, %size
  %huge = and i64 %used, -2097152 ; whole huge pages, so that no memory is taken needlessly
  %some_huge = icmp uge i64 %huge, 4194304
  br i1 %some_huge, label %advise, label %ready
advise:
  %advised = inttoptr i64 %map_base to ptr
  %ignored = call i32 @madvise(ptr %advised, i64 %huge, i32 $huge_pages)
  br label %ready
ready:
  %address = phi ptr [ %heap_address, %heap_ok ], [ %map_address, %map_ok ], [ %map_address, %advise ]
  %mapped = phi i64 [ 0, %heap_ok ], [ %map_bytes, %map_ok ], [ %map_bytes, %advise ]
  %number = phi i64 [ %heap_data, %heap_ok ], [ %map_data, %map_ok ], [ %map_data, %advise ]
  %data = inttoptr i64 %number to ptr
  %block = getelementptr i8, ptr %data, i64 -64
  store i64 %capacity, ptr %block
  %class_place = getelementptr %Block, ptr %block, i64 0, i32 1
  store i64 %class, ptr %class_place
  %address_place = getelementptr %Block, ptr %block, i64 0, i32 3
  store ptr %address, ptr %address_place
  %mapped_place = getelementptr %Block, ptr %block, i64 0, i32 4
  store i64 %mapped, ptr %mapped_place
  ret ptr %data
failed:
  ret ptr null
}

; Give a block back to the system.
define internal void @discard(ptr %block) nounwind {
  %address_place = getelementptr %Block, ptr %block, i64 0, i32 3
  %address = load ptr, ptr %address_place
  %mapped_place = getelementptr %Block, ptr %block, i64 0, i32 4
  %mapped = load i64, ptr %mapped_place
  %heap = icmp eq i64 %mapped, 0
  br i1 %heap, label %from_heap, label %from_map
from_heap:
  call void @free(ptr %address)
  ret void
from_map:
  %ignored = call i32 @munmap(ptr %address, i64 %mapped)
  ret void
}

; Take back what `take` gave.
define void @fnad.pool.give(ptr %data) nounwind {
entry:
  %block = getelementptr i8, ptr %data, i64 -64
  %capacity = load i64, ptr %block
  %limit_place = load ptr, ptr @limit_place
  %limit = load atomic i64, ptr %limit_place monotonic, align 8
  %idle = load i64, ptr @idle_bytes
  %total = add i64 %idle, %capacity
  %fits = icmp ule i64 %total, %limit
  br i1 %fits, label %keep, label %full
full:
  %possible = icmp ule i64 %capacity, %limit
  br i1 %possible, label %shrink, label %drop
drop:
  call void @discard(ptr %block)
  ret void
shrink:
  call void @fnad.pool.trim()
  br label %keep
keep:
  %idle_now = phi i64 [ %total, %entry ], [ %capacity, %shrink ]
  store i64 %idle_now, ptr @idle_bytes
  %class_place = getelementptr %Block, ptr %block, i64 0, i32 1
  %class = load i64, ptr %class_place
  %place = getelementptr [192 x ptr], ptr @idle, i64 0, i64 %class
  %head = load ptr, ptr %place
  %next_place = getelementptr %Block, ptr %block, i64 0, i32 2
  store ptr %head, ptr %next_place
  store ptr %block, ptr %place
  ret void
}

; Give all idle blocks back to the system.
define void @fnad.pool.trim() nounwind noinline {
entry:
  br label %classes
classes:
  %class = phi i64 [ 0, %entry ], [ %class_next, %emptied ]
  %place = getelementptr [192 x ptr], ptr @idle, i64 0, i64 %class
  %head = load ptr, ptr %place
  store ptr null, ptr %place
  br label %blocks
blocks:
  %block = phi ptr [ %head, %classes ], [ %next, %one ]
  %end = icmp eq ptr %block, null
  br i1 %end, label %emptied, label %one
one:
  %next_place = getelementptr %Block, ptr %block, i64 0, i32 2
  %next = load ptr, ptr %next_place
  call void @discard(ptr %block)
  br label %blocks
emptied:
  %class_next = add i64 %class, 1
  %more = icmp ult i64 %class_next, 192
  br i1 %more, label %classes, label %done
done:
  store i64 0, ptr @idle_bytes
  ret void
}

; -- NumPy's memory handler (PyDataMemAllocator): how arrays free and resize what they own ---------

define ptr @fnad.pool.malloc(ptr %context, i64 %size) nounwind {
  %data = call ptr @fnad.pool.take(i64 %size)
  ret ptr %data
}

define ptr @fnad.pool.calloc(ptr %context, i64 %count, i64 %size) nounwind {
  %product = call {i64, i1} @llvm.umul.with.overflow.i64(i64 %count, i64 %size)
  %overflow = extractvalue {i64, i1} %product, 1
  %bytes = extractvalue {i64, i1} %product, 0
  br i1 %overflow, label %failed, label %possible
possible:
  %data = call ptr @fnad.pool.take(i64 %bytes)
  %none = icmp eq ptr %data, null
  br i1 %none, label %failed, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %data, i8 0, i64 %bytes, i1 false)
  ret ptr %data
failed:
  ret ptr null
}

define ptr @fnad.pool.realloc(ptr %context, ptr %data, i64 %size) nounwind {
  %nothing = icmp eq ptr %data, null
  br i1 %nothing, label %first, label %old
first:
  %fresh = call ptr @fnad.pool.take(i64 %size)
  ret ptr %fresh
old:
  %block = getelementptr i8, ptr %data, i64 -64
  %capacity = load i64, ptr %block
  %fits = icmp ule i64 %size, %capacity
  br i1 %fits, label %same, label %grow
same:
  ret ptr %data
grow:
  %larger = call ptr @fnad.pool.take(i64 %size)
  %none = icmp eq ptr %larger, null
  br i1 %none, label %failed, label %copy
failed:
  ret ptr null
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %larger, ptr %data, i64 %capacity, i1 false)
  call void @fnad.pool.give(ptr %data)
  ret ptr %larger
}

define void @fnad.pool.free(ptr %context, ptr %data, i64 %size) nounwind {
  %nothing = icmp eq ptr %data, null
  br i1 %nothing, label %done, label %some
some:
  call void @fnad.pool.give(ptr %data)
  ret void
done:
  ret void
}
