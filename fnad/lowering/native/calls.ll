; Calls of compiled functions from Python, without Python: a vectorcall that finds the signature
; that its arguments have, reads their data pointers, runs the program and builds the results.
;
; A signature is interpreted rather than compiled: a list of words for the arguments and one for the
; results, written by `signatures.py`. Interpreting costs a few ns for each container or leaf, and
; the first call of a function waits for nothing.
;
; Whatever is not exactly what was compiled for goes to the general path, a method in Python.
; `objects.ll`, `leaves.ll`, `arguments.ll`, `results.ll` and `trees.ll` belong to the same module.

; Run a program in its arena, elsewhere if the interpreter can be free for others meanwhile.
define internal i1 @run(ptr %signature, ptr %table) noinline {
entry:
  %program_place = getelementptr %Signature, ptr %signature, i64 0, i32 8
  %program = load ptr, ptr %program_place
  %shared_place = getelementptr %Signature, ptr %signature, i64 0, i32 9
  %shared = load i64, ptr %shared_place
  %each_place = getelementptr %Signature, ptr %signature, i64 0, i32 10
  %each = load i64, ptr %each_place
  %threads_place = call ptr @setting(i64 11)
  %threads = load atomic i64, ptr %threads_place monotonic, align 8
  %own = mul i64 %each, %threads
  %bytes = add i64 %shared, %own
  %small = icmp ule i64 %bytes, 4096
  br i1 %small, label %on_stack, label %in_pool
on_stack:
  %stack = alloca i8, i64 %bytes, align 64
  br label %ready
in_pool:
  %block = call ptr @fnad.pool.take(i64 %bytes)
  %none = icmp eq ptr %block, null
  br i1 %none, label %failed, label %ready
ready:
  %arena = phi ptr [ %stack, %on_stack ], [ %block, %in_pool ]
  store i64 %threads, ptr %arena
  %long_place = getelementptr %Signature, ptr %signature, i64 0, i32 11
  %long = load i64, ptr %long_place
  %is_long = icmp ne i64 %long, 0
  br i1 %is_long, label %away, label %here
here:
  call void %program(ptr %table, ptr %arena)
  br label %finished
away:
  %thread = call ptr @PyEval_SaveThread()
  call void %program(ptr %table, ptr %arena)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %finished
finished:
  br i1 %small, label %done, label %give
give:
  call void @fnad.pool.give(ptr %arena)
  br label %done
done:
  ret i1 true
failed:
  ret i1 false
}

; Call by one signature. The flag says whether it was that of the arguments.
define internal {ptr, i1} @attempt(ptr %signature, ptr %arguments, i64 %count) noinline {
entry:
  %state = alloca %State
  %length_place = getelementptr %Signature, ptr %signature, i64 0, i32 5
  %length = load i64, ptr %length_place
  %table = alloca ptr, i64 %length, align 64
  %room = alloca i64, i64 %length, align 16
  %kept_length_place = getelementptr %Signature, ptr %signature, i64 0, i32 7
  %kept_length = load i64, ptr %kept_length_place
  %kept = alloca ptr, i64 %kept_length
  %template_place = getelementptr %Signature, ptr %signature, i64 0, i32 6
  %template = load ptr, ptr %template_place
  %bytes = shl i64 %length, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %table, ptr %template, i64 %bytes, i1 false)
  store ptr %table, ptr %state
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  store ptr %room, ptr %room_place
  %kept_place = getelementptr %State, ptr %state, i64 0, i32 2
  store ptr %kept, ptr %kept_place
  %number_place = getelementptr %State, ptr %state, i64 0, i32 3
  store i64 0, ptr %number_place
  %holds_place = getelementptr %Signature, ptr %signature, i64 0, i32 14
  %holds = load i64, ptr %holds_place
  %keeps_place = getelementptr %State, ptr %state, i64 0, i32 4
  store i64 %holds, ptr %keeps_place
  %owner = load ptr, ptr %signature
  call void @Py_IncRef(ptr %owner)
  %words_place = getelementptr %Signature, ptr %signature, i64 0, i32 3
  %words = load ptr, ptr %words_place
  %read = call ptr @read_items(ptr %arguments, i64 %count, ptr %words, ptr %state)
  %matched = icmp ne ptr %read, null
  br i1 %matched, label %prepare, label %finish
prepare:
  %prepared = call i1 @take_results(ptr %signature, ptr %state)
  br i1 %prepared, label %compute, label %no_memory
compute:
  %ran = call i1 @run(ptr %signature, ptr %table)
  br i1 %ran, label %results, label %no_memory
results:
  %out_place = getelementptr %Signature, ptr %signature, i64 0, i32 4
  %out_words = load ptr, ptr %out_place
  %answer_built = call %Built @build(ptr %out_words, ptr %state)
  %built = extractvalue %Built %answer_built, 0
  %failed = icmp eq ptr %built, null
  br i1 %failed, label %give, label %finish
no_memory:
  %ignored = call ptr @PyErr_NoMemory()
  br label %give
give:
  call void @give_results(ptr %signature, ptr %state)
  br label %finish
finish:
  %result = phi ptr [ null, %entry ], [ %built, %results ], [ null, %give ]
  br label %kept_ones
kept_ones:
  %number = load i64, ptr %number_place
  %end = icmp eq i64 %number, 0
  br i1 %end, label %done, label %drop
drop:
  %last = sub i64 %number, 1
  store i64 %last, ptr %number_place
  %object_place = getelementptr ptr, ptr %kept, i64 %last
  %object = load ptr, ptr %object_place
  call void @Py_DecRef(ptr %object)
  br label %kept_ones
done:
  call void @Py_DecRef(ptr %owner)
  %pair = insertvalue {ptr, i1} undef, ptr %result, 0
  %answer = insertvalue {ptr, i1} %pair, i1 %matched, 1
  ret {ptr, i1} %answer
}

; Whether the call has the signature's number of positional arguments and its keywords.
define internal i1 @same_form(ptr %signature, i64 %count, ptr %names) {
entry:
  %count_place = getelementptr %Signature, ptr %signature, i64 0, i32 1
  %wanted = load i64, ptr %count_place
  %same_count = icmp eq i64 %count, %wanted
  br i1 %same_count, label %keywords, label %differs
keywords:
  %names_place = getelementptr %Signature, ptr %signature, i64 0, i32 2
  %wanted_names = load ptr, ptr %names_place
  %identical = icmp eq ptr %names, %wanted_names
  br i1 %identical, label %same, label %some
some:
  %wanted_none = icmp eq ptr %wanted_names, null
  %none = icmp eq ptr %names, null
  %one_only = or i1 %wanted_none, %none
  br i1 %one_only, label %differs, label %compare
compare:
  %equal = call i1 @same_value(ptr %wanted_names, ptr %names)
  br i1 %equal, label %same, label %differs
same:
  ret i1 true
differs:
  ret i1 false
}

; The vectorcall of compiled functions: try the signatures in turn, unless something is traced,
; which has to record the call.
define ptr @fnad.calls.dispatch(ptr %callable, ptr %arguments, i64 %flagged, ptr %names) {
entry:
  %count = and i64 %flagged, 9223372036854775807 ; without PY_VECTORCALL_ARGUMENTS_OFFSET
  %named = icmp ne ptr %names, null
  br i1 %named, label %with_names, label %start
with_names:
  %name_count = call i64 @size_of(ptr %names)
  br label %start
start:
  %keywords = phi i64 [ 0, %entry ], [ %name_count, %with_names ]
  %all = add i64 %count, %keywords
  %number_place = getelementptr %Callable, ptr %callable, i64 0, i32 3
  %traces = call ptr @setting(i64 9)
  %number_of_traces = call i64 @size_of(ptr %traces)
  %axes = call ptr @setting(i64 10)
  %number_of_axes = call i64 @size_of(ptr %axes)
  %both = or i64 %number_of_traces, %number_of_axes
  %quiet = icmp eq i64 %both, 0
  br i1 %quiet, label %loop, label %general
loop:
  %i = phi i64 [ 0, %start ], [ %next, %advance ]
  %number = load i64, ptr %number_place
  %more = icmp ult i64 %i, %number
  br i1 %more, label %one, label %general
one:
  %place = getelementptr %Callable, ptr %callable, i64 0, i32 4, i64 %i
  %signature = load ptr, ptr %place
  %possible = call i1 @same_form(ptr %signature, i64 %count, ptr %names)
  br i1 %possible, label %try, label %advance
try:
  %answer = call {ptr, i1} @attempt(ptr %signature, ptr %arguments, i64 %all)
  %matched = extractvalue {ptr, i1} %answer, 1
  br i1 %matched, label %done, label %advance
advance:
  %next = add i64 %i, 1
  br label %loop
done:
  %result = extractvalue {ptr, i1} %answer, 0
  %later = icmp ne i64 %i, 0
  br i1 %later, label %promote, label %return
promote: ; the signature comes first, if it still is where it was
  %now = load ptr, ptr %place
  %still = icmp eq ptr %now, %signature
  br i1 %still, label %move, label %return
move:
  %first = getelementptr %Callable, ptr %callable, i64 0, i32 4, i64 0
  %second = getelementptr %Callable, ptr %callable, i64 0, i32 4, i64 1
  %bytes = shl i64 %i, 3
  call void @llvm.memmove.p0.p0.i64(ptr %second, ptr %first, i64 %bytes, i1 false)
  store ptr %signature, ptr %first
  br label %return
return:
  ret ptr %result
general:
  %answer_general = tail call ptr @general(ptr %callable, ptr %arguments, i64 %count, i64 %all, ptr %names)
  ret ptr %answer_general
}

; Call the method in Python that serves every other case.
define internal ptr @general(ptr %callable, ptr %arguments, i64 %count, i64 %all, ptr %names) noinline {
  %length = add i64 %all, 1
  %row = alloca ptr, i64 %length
  store ptr %callable, ptr %row
  %rest = getelementptr ptr, ptr %row, i64 1
  %bytes = shl i64 %all, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %arguments, i64 %bytes, i1 false)
  %with_self = add i64 %count, 1
  %name = call ptr @setting(i64 8)
  %result = call ptr @PyObject_VectorcallMethod(ptr %name, ptr %row, i64 %with_self, ptr %names)
  ret ptr %result
}
