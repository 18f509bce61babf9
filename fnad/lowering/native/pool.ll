; Memory of results: blocks that are kept when an array dies, for the next result of its size.
;
; Fresh memory costs a page fault for every 4 KiB, several times what writing it costs. So blocks
; are not given back to the system at once: `take` finds an idle block of the same class of sizes.
; Classes are multiples of 64 bytes up to 1 KiB, then four to a doubling. At most `fnad.config.pool_bytes`
; lie idle; if a block would exceed that, all idle ones go back to the system first, as they are of
; sizes that are not wanted any more.
;
; Making and freeing an array costs NumPy several times what a small result costs to compute. So an
; array object may rest with its block: when the array that owns a block dies, the block keeps its
; object, shape included, and the next result in that block gets it (`fnad.pool.free`).
;
; All functions need the interpreter lock, which is what keeps threads and forks apart.

%Block = type { i64, i64, ptr, ptr, i64, ptr, i64, ptr }
; capacity, class, next idle, address, bytes mapped or 0, the shape of an array at rest, nothing, array
;
; The array, right before the data, is null, or the one that owns the block and was known to be made
; for it, or one at rest: dead, without data.

%Array = type { i64, ptr, ptr, i32, ptr, ptr, ptr, ptr, i32, ptr, ptr, ptr } ; as in `objects.ll`

@idle = internal global [192 x ptr] zeroinitializer ; the first idle block of each class
@idle_bytes = internal global i64 0
@limit_place = internal global ptr null
@handler = internal global ptr null ; the capsule by which arrays name this pool
@array_type = internal global ptr null
@resting_type = internal global ptr null ; null if array objects must not rest
@some_dtype = internal global ptr null
@mapped_blocks = internal global i64 0

declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
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

; Say where the number of bytes is that may lie idle, and which objects the pool needs.
define void @fnad.pool.start(ptr %limit, ptr %handler, ptr %array_type, ptr %dtype) nounwind {
  store ptr %limit, ptr @limit_place
  store ptr %handler, ptr @handler
  store ptr %array_type, ptr @array_type
  store ptr %dtype, ptr @some_dtype
  ret void
}

; From now on array objects rest as instances of a type whose tp_free is `fnad.pool.rest`; not, if null.
define void @fnad.pool.recycle(ptr %type) nounwind {
  store ptr %type, ptr @resting_type
  ret void
}

; Memory of at least `size` bytes, aligned to 64; null if there is none.
define ptr @fnad.pool.take(i64 %size) nounwind {
entry:
  %small = icmp ule i64 %size, 1024
  br i1 %small, label %linear, label %geometric
linear:
  %some = call i64 @llvm.umax.i64(i64 %size, i64 1)
  %padded = add i64 %some, 63
  %lines = lshr i64 %padded, 6
  %line_bytes = shl i64 %lines, 6
  br label %classed
geometric:
  %absurd = icmp ugt i64 %size, 70368744177664 ; 2^46
  br i1 %absurd, label %refused, label %sized
refused:
  ret ptr null
sized:
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
  %class = phi i64 [ %lines, %linear ], [ %number, %sized ]
  %capacity = phi i64 [ %line_bytes, %linear ], [ %quarter_bytes, %sized ]
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
  %new = tail call ptr @allocate(i64 %size, i64 %capacity, i64 %class)
  ret ptr %new
}

; A new block, first used for `size` bytes; its data or null.
define internal ptr @allocate(i64 %size, i64 %capacity, i64 %class) nounwind noinline {
entry:
  %first = call ptr @demand(i64 %size, i64 %capacity, i64 %class)
  %failed = icmp eq ptr %first, null
  br i1 %failed, label %again, label %given
again: ; idle blocks of other classes may be in the way
  call void @fnad.pool.trim()
  %second = call ptr @demand(i64 %size, i64 %capacity, i64 %class)
  br label %given
given:
  %new = phi ptr [ %first, %entry ], [ %second, %again ]
  ret ptr %new
}

; The same, from the system.
define internal ptr @demand(i64 %size, i64 %capacity, i64 %class) nounwind noinline {
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
  %array_place = getelementptr %Block, ptr %block, i64 0, i32 7
  store ptr null, ptr %array_place
  ret ptr %data
failed:
  ret ptr null
}

; Give a block back to the system.
define internal void @discard(ptr %block) nounwind {
  call void @dismiss(ptr %block)
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
  call void @shelve(ptr %block, i64 %idle_now)
  ret void
}

; Add a block to the idle ones, which have so many bytes then.
define internal void @shelve(ptr %block, i64 %idle) alwaysinline nounwind {
  store i64 %idle, ptr @idle_bytes
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
  call void @move(ptr %block, ptr %larger)
  call void @fnad.pool.give(ptr %data)
  ret ptr %larger
}

; An array that dies leaves its object to the block: NumPy frees the object as its type says, and the
; type becomes one that frees by `fnad.pool.rest`. It has no shape from now on, which NumPy would free.
define void @fnad.pool.free(ptr %context, ptr %data, i64 %size) nounwind {
  %nothing = icmp eq ptr %data, null
  br i1 %nothing, label %done, label %some
some:
  %block = getelementptr i8, ptr %data, i64 -64
  %array_place = getelementptr %Block, ptr %block, i64 0, i32 7
  %array = load ptr, ptr %array_place
  %unknown = icmp eq ptr %array, null
  br i1 %unknown, label %give, label %known
known:
  %its_data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  %its_data = load ptr, ptr %its_data_place
  %owner = icmp eq ptr %its_data, %data
  br i1 %owner, label %check, label %give
check: ; it may live on without this data, or be needed by weak references, or have no rank; and what
  ; NumPy does yet may neither need the block, which can be taken from now on, nor run other code
  %references = load i64, ptr %array
  %dead = icmp eq i64 %references, 0
  %weak_place = getelementptr %Array, ptr %array, i64 0, i32 9
  %weak = load ptr, ptr %weak_place
  %not_weak = icmp eq ptr %weak, null
  %shape_place = getelementptr %Array, ptr %array, i64 0, i32 4
  %shape = load ptr, ptr %shape_place
  %ranked = icmp ne ptr %shape, null
  %dtype_place = getelementptr %Array, ptr %array, i64 0, i32 7
  %dtype = load ptr, ptr %dtype_place
  %dtype_references = load i64, ptr %dtype
  %dtype_lives = icmp ne i64 %dtype_references, 1
  %capacity = load i64, ptr %block
  %idle = load i64, ptr @idle_bytes
  %total = add i64 %idle, %capacity
  %limit_place = load ptr, ptr @limit_place
  %limit = load atomic i64, ptr %limit_place monotonic, align 8
  %fits = icmp ule i64 %total, %limit
  %dead_alone = and i1 %dead, %not_weak
  %dead_ranked = and i1 %dead_alone, %ranked
  %dead_safely = and i1 %dead_ranked, %dtype_lives
  %may_rest = and i1 %dead_safely, %fits
  br i1 %may_rest, label %rest, label %forget
rest:
  %kept_shape_place = getelementptr %Block, ptr %block, i64 0, i32 5
  store ptr %shape, ptr %kept_shape_place
  store ptr null, ptr %shape_place
  store ptr null, ptr %its_data_place
  %type_place = getelementptr %Array, ptr %array, i64 0, i32 1
  %resting_type = load ptr, ptr @resting_type
  store ptr %resting_type, ptr %type_place
  call void @shelve(ptr %block, i64 %total)
  ret void
forget:
  store ptr null, ptr %array_place
  br label %give
give:
  call void @fnad.pool.give(ptr %data)
  ret void
done:
  ret void
}

; -- array objects at rest ------------------------------------------------------------------------

; Make an array that NumPy has made for some data the owner of it, by a handler whose reference it
; takes over.
define void @fnad.pool.own(ptr %array, ptr %handler) nounwind {
  %flags_place = getelementptr %Array, ptr %array, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %owning = or i32 %flags, 4 ; OWNDATA
  store i32 %owning, ptr %flags_place
  %handler_place = getelementptr %Array, ptr %array, i64 0, i32 11
  store ptr %handler, ptr %handler_place
  %pool_handler = load ptr, ptr @handler
  %of_pool = icmp eq ptr %handler, %pool_handler
  %resting_type = load ptr, ptr @resting_type
  %recycles = icmp ne ptr %resting_type, null
  %known = and i1 %of_pool, %recycles
  br i1 %known, label %introduce, label %done
introduce:
  %data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  %data = load ptr, ptr %data_place
  %block = getelementptr i8, ptr %data, i64 -64
  %array_place = getelementptr %Block, ptr %block, i64 0, i32 7
  %before = load ptr, ptr %array_place
  %none = icmp eq ptr %before, null
  br i1 %none, label %set, label %replace
replace: ; an array at rest of another rank, or the one that has given its data away
  %its_data_place = getelementptr %Array, ptr %before, i64 0, i32 2
  %its_data = load ptr, ptr %its_data_place
  %resting = icmp eq ptr %its_data, null
  br i1 %resting, label %dismiss, label %set
dismiss:
  call void @dismiss(ptr %block)
  br label %set
set:
  store ptr %array, ptr %array_place
  br label %done
done:
  ret void
}

; The tp_free of an array that rests already.
define void @fnad.pool.rest(ptr %array) nounwind {
  ret void
}

; Let NumPy free the array that rests in a block.
define internal void @dismiss(ptr %block) nounwind noinline {
  %array_place = getelementptr %Block, ptr %block, i64 0, i32 7
  %array = load ptr, ptr %array_place
  %none = icmp eq ptr %array, null
  br i1 %none, label %done, label %free
free: ; an array that owns nothing but its shape
  store ptr null, ptr %array_place
  store i64 1, ptr %array
  %kept_shape_place = getelementptr %Block, ptr %block, i64 0, i32 5
  %shape = load ptr, ptr %kept_shape_place
  %shape_place = getelementptr %Array, ptr %array, i64 0, i32 4
  store ptr %shape, ptr %shape_place
  %type_place = getelementptr %Array, ptr %array, i64 0, i32 1
  %array_type = load ptr, ptr @array_type
  store ptr %array_type, ptr %type_place
  %base_place = getelementptr %Array, ptr %array, i64 0, i32 6
  store ptr null, ptr %base_place
  %dtype_place = getelementptr %Array, ptr %array, i64 0, i32 7
  %dtype = load ptr, ptr @some_dtype
  call void @Py_IncRef(ptr %dtype)
  store ptr %dtype, ptr %dtype_place
  %flags_place = getelementptr %Array, ptr %array, i64 0, i32 8
  store i32 0, ptr %flags_place
  %buffers_place = getelementptr %Array, ptr %array, i64 0, i32 10
  store ptr null, ptr %buffers_place
  %handler_place = getelementptr %Array, ptr %array, i64 0, i32 11
  store ptr null, ptr %handler_place
  call void @Py_DecRef(ptr %array)
  br label %done
done:
  ret void
}

; The array that owns a block moves to another one, whose array, at rest, moves to the first.
define internal void @move(ptr %block, ptr %data) nounwind {
  %array_place = getelementptr %Block, ptr %block, i64 0, i32 7
  %array = load ptr, ptr %array_place
  %other = getelementptr i8, ptr %data, i64 -64
  %other_place = getelementptr %Block, ptr %other, i64 0, i32 7
  %unknown = icmp eq ptr %array, null
  br i1 %unknown, label %done, label %known
known:
  %its_data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  %its_data = load ptr, ptr %its_data_place
  %resting = icmp eq ptr %its_data, null
  br i1 %resting, label %done, label %swap
swap:
  %there = load ptr, ptr %other_place
  store ptr %array, ptr %other_place
  store ptr %there, ptr %array_place
  %other_shape_place = getelementptr %Block, ptr %other, i64 0, i32 5
  %shape = load ptr, ptr %other_shape_place
  %shape_place = getelementptr %Block, ptr %block, i64 0, i32 5
  store ptr %shape, ptr %shape_place
  br label %done
done:
  ret void
}
