; Calls of compiled functions from Python, without Python: a vectorcall that finds the signature
; that its arguments have, reads their data pointers, runs the program and builds the results.
;
; A signature is interpreted rather than compiled: a list of words for the arguments and one for the
; results, written by `signatures.py`. Interpreting costs a few ns for each container or leaf, and
; the first call of a function waits for nothing.
;
; Whatever is not exactly what was compiled for goes to the general path, a method in Python.
; The structures below are those of CPython's and NumPy's headers; `capi.py` checks them.

%Object = type { i64, ptr } ; reference count, type
%Sized = type { i64, ptr, i64 }
%Tuple = type { i64, ptr, i64, [0 x ptr] }
%List = type { i64, ptr, i64, ptr }
%Array = type { i64, ptr, ptr, i32, ptr, ptr, ptr, ptr, i32, ptr, ptr, ptr }
; data 2, ndim 3, shape 4, strides 5, base 6, descr 7, flags 8, weak references 9, buffers 10,
; memory handler 11

; A function object: its vectorcall, the number of its signatures and the signatures themselves,
; the one that was met last first.
%Callable = type { i64, ptr, ptr, i64, [8 x ptr] }

; How one signature is called; `table` is what the program gets: pointers to its inputs, constants
; and results.
%Signature = type {
  ptr, ; 0 the Python object that keeps all this alive
  i64, ; 1 number of positional arguments
  ptr, ; 2 names of keyword arguments, a tuple
  ptr, ; 3 words of the arguments
  ptr, ; 4 words of the result
  i64, ; 5 length of the table
  ptr, ; 6 the table, constants filled in
  i64, ; 7 how many objects an attempt may have to keep for a while
  ptr, ; 8 the program: void (ptr table, ptr arena)
  i64, ; 9 bytes of its arena
  i64, ; 10 more bytes for each thread
  i64, ; 11 whether it runs long enough to free the interpreter for other threads
  i64, ; 12 number of results
  ptr, ; 13 places of the results
  i64  ; 14 whether arguments must not die meanwhile, or may be donated
}
; A result's position in the table, its bytes (of a scalar -1), and the position of the argument
; that is updated in its place (or -1).
%Place = type { i64, i64, i64 }

; Words of arguments and results. All start with what they are.
%Leaf = type { i64, i64, ptr, i64, ptr, i64, [0 x i64] } ; position, dtype, ndim, scalar type, Python type, shape
%Out = type { i64, i64, ptr, i64, [0 x i64] }            ; position, dtype, ndim, shape
%Container = type { i64, ptr, i64 }                      ; type, number of children
%Opaque = type { i64, ptr, i64, ptr, ptr }               ; also the function and the static data
%Static = type { i64, ptr }

%State = type { ptr, ptr, ptr, i64, ptr, i64 }
; table; a word for each of its entries, which is the value of an integer, the array that is an
; argument, or the one that was donated to a result; objects kept, their number; words still to be
; read; whether to keep arguments

; Objects of this process.
%Environment = type {
  ptr, ; 0 numpy.ndarray
  ptr, ; 1 float
  ptr, ; 2 int
  ptr, ; 3 True
  ptr, ; 4 False
  ptr, ; 5 None
  ptr, ; 6 tuple
  ptr, ; 7 the capsule of the memory handler
  ptr, ; 8 the name of the general path, "__call__"
  ptr, ; 9 a list that is empty while nothing is traced
  ptr, ; 10 a list that is empty while no axis has a name
  ptr  ; 11 the number of threads, an int64
}
@environment = internal global %Environment zeroinitializer
@bytes = internal constant [2 x i8] c"\00\01" ; False and True

declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_NoMemory()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare ptr @PyTuple_New(i64)
declare ptr @PyList_New(i64)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_VectorcallMethod(ptr, ptr, i64, ptr)
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare ptr @PySequence_Tuple(ptr)
declare ptr @fnad.numpy.NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @fnad.numpy.NewCopy(ptr, i32)
declare ptr @fnad.numpy.Scalar(ptr, ptr, ptr)
declare ptr @fnad.pool.take(i64)
declare void @fnad.pool.give(ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)

define ptr @fnad.calls.environment() {
  ret ptr @environment
}

define internal ptr @setting(i64 %index) alwaysinline {
  %place = getelementptr ptr, ptr @environment, i64 %index
  %object = load ptr, ptr %place
  ret ptr %object
}

define internal ptr @type_of(ptr %object) alwaysinline {
  %place = getelementptr %Object, ptr %object, i64 0, i32 1
  %type = load ptr, ptr %place
  ret ptr %type
}

define internal i64 @size_of(ptr %object) alwaysinline {
  %place = getelementptr %Sized, ptr %object, i64 0, i32 2
  %size = load i64, ptr %place
  ret i64 %size
}

; Keep an object until the call is over.
define internal void @keep(ptr %state, ptr %object) {
  %number_place = getelementptr %State, ptr %state, i64 0, i32 3
  %number = load i64, ptr %number_place
  %kept_place = getelementptr %State, ptr %state, i64 0, i32 2
  %kept = load ptr, ptr %kept_place
  %place = getelementptr ptr, ptr %kept, i64 %number
  store ptr %object, ptr %place
  %next = add i64 %number, 1
  store i64 %next, ptr %number_place
  ret void
}

define internal void @remember(ptr %state, i64 %position, ptr %object) {
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %place = getelementptr ptr, ptr %room, i64 %position
  store ptr %object, ptr %place
  ret void
}

; -- arguments ------------------------------------------------------------------------------------
; Functions that read arguments take the words that describe them and return where the next words
; are, or null if the argument is not what they describe.

define internal ptr @read(ptr %object, ptr %words, ptr %state) {
entry:
  %kind = load i64, ptr %words
  switch i64 %kind, label %differs [
    i64 0, label %leaf
    i64 1, label %tuple
    i64 2, label %list
    i64 3, label %dict
    i64 4, label %none
    i64 5, label %opaque
    i64 6, label %static
  ]
leaf:
  %after_leaf = call ptr @read_leaf(ptr %object, ptr %words, ptr %state)
  ret ptr %after_leaf
tuple:
  %after_tuple = call ptr @read_tuple(ptr %object, ptr %words, ptr %state)
  ret ptr %after_tuple
list:
  %after_list = call ptr @read_list(ptr %object, ptr %words, ptr %state)
  ret ptr %after_list
dict:
  %after_dict = call ptr @read_dict(ptr %object, ptr %words, ptr %state)
  ret ptr %after_dict
none:
  %None = call ptr @setting(i64 5)
  %is_none = icmp eq ptr %object, %None
  %after_word = getelementptr i64, ptr %words, i64 1
  %after_none = select i1 %is_none, ptr %after_word, ptr null
  ret ptr %after_none
opaque:
  %after_opaque = call ptr @read_opaque(ptr %object, ptr %words, ptr %state)
  ret ptr %after_opaque
static:
  %after_static = call ptr @read_static(ptr %object, ptr %words)
  ret ptr %after_static
differs:
  ret ptr null
}

define internal ptr @read_leaf(ptr %object, ptr %words, ptr %state) alwaysinline {
entry:
  %overflow = alloca i32
  %type = call ptr @type_of(ptr %object)
  %position_place = getelementptr %Leaf, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %ndim_place = getelementptr %Leaf, ptr %words, i64 0, i32 3
  %ndim = load i64, ptr %ndim_place
  %shape = getelementptr %Leaf, ptr %words, i64 0, i32 6
  %after = getelementptr i64, ptr %shape, i64 %ndim
  %array_type = call ptr @setting(i64 0)
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %array, label %other

array:
  %dtype_place = getelementptr %Leaf, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %its_dtype_place = getelementptr %Array, ptr %object, i64 0, i32 7
  %its_dtype = load ptr, ptr %its_dtype_place
  %same_dtype = icmp eq ptr %dtype, %its_dtype
  br i1 %same_dtype, label %dimensions, label %differs
dimensions:
  %its_ndim_place = getelementptr %Array, ptr %object, i64 0, i32 3
  %its_ndim_32 = load i32, ptr %its_ndim_place
  %its_ndim = sext i32 %its_ndim_32 to i64
  %same_ndim = icmp eq i64 %ndim, %its_ndim
  br i1 %same_ndim, label %extents, label %differs
extents:
  %its_shape_place = getelementptr %Array, ptr %object, i64 0, i32 4
  %its_shape = load ptr, ptr %its_shape_place
  br label %axes
axes:
  %axis = phi i64 [ 0, %extents ], [ %axis_next, %axis_ok ]
  %all_axes = icmp eq i64 %axis, %ndim
  br i1 %all_axes, label %layout, label %extent
extent:
  %extent_place = getelementptr i64, ptr %shape, i64 %axis
  %wanted = load i64, ptr %extent_place
  %its_extent_place = getelementptr i64, ptr %its_shape, i64 %axis
  %its_extent = load i64, ptr %its_extent_place
  %same_extent = icmp eq i64 %wanted, %its_extent
  br i1 %same_extent, label %axis_ok, label %differs
axis_ok:
  %axis_next = add i64 %axis, 1
  br label %axes
layout:
  %flags_place = getelementptr %Array, ptr %object, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %needed = and i32 %flags, 257 ; C_CONTIGUOUS and ALIGNED
  %dense = icmp eq i32 %needed, 257
  br i1 %dense, label %in_place, label %copied
in_place:
  %data_place = getelementptr %Array, ptr %object, i64 0, i32 2
  %data = load ptr, ptr %data_place
  %keeps_place = getelementptr %State, ptr %state, i64 0, i32 5
  %keeps = load i64, ptr %keeps_place
  %kept = icmp ne i64 %keeps, 0
  br i1 %kept, label %hold, label %found
hold:
  call void @Py_IncRef(ptr %object)
  call void @keep(ptr %state, ptr %object)
  call void @remember(ptr %state, i64 %position, ptr %object)
  br label %found
copied:
  %copy = call ptr @fnad.numpy.NewCopy(ptr %object, i32 0) ; in C order
  %no_copy = icmp eq ptr %copy, null
  br i1 %no_copy, label %failed, label %have_copy
have_copy:
  call void @keep(ptr %state, ptr %copy)
  call void @remember(ptr %state, i64 %position, ptr null)
  %copy_place = getelementptr %Array, ptr %copy, i64 0, i32 2
  %copy_data = load ptr, ptr %copy_place
  br label %found
failed:
  call void @PyErr_Clear()
  ret ptr null

other:
  %scalar_place = getelementptr %Leaf, ptr %words, i64 0, i32 4
  %scalar = load ptr, ptr %scalar_place
  %is_scalar = icmp eq ptr %type, %scalar
  br i1 %is_scalar, label %value, label %python
value: ; of a NumPy scalar or a float stands behind the head of the object
  %value_place = getelementptr %Object, ptr %object, i64 1
  br label %found
python:
  %python_place = getelementptr %Leaf, ptr %words, i64 0, i32 5
  %python_type = load i64, ptr %python_place
  switch i64 %python_type, label %differs [
    i64 1, label %float
    i64 2, label %int
    i64 3, label %bool
  ]
float:
  %float_type = call ptr @setting(i64 1)
  %is_float = icmp eq ptr %type, %float_type
  br i1 %is_float, label %value, label %differs
int:
  %int_type = call ptr @setting(i64 2)
  %is_int = icmp eq ptr %type, %int_type
  br i1 %is_int, label %convert, label %differs
convert:
  %integer = call i64 @PyLong_AsLongLongAndOverflow(ptr %object, ptr %overflow)
  %over = load i32, ptr %overflow
  %fits = icmp eq i32 %over, 0
  br i1 %fits, label %store_integer, label %differs
store_integer:
  %words_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %words_place
  %integer_place = getelementptr i64, ptr %room, i64 %position
  store i64 %integer, ptr %integer_place
  br label %found
bool:
  %True = call ptr @setting(i64 3)
  %False = call ptr @setting(i64 4)
  %is_true = icmp eq ptr %object, %True
  %is_false = icmp eq ptr %object, %False
  %is_bool = or i1 %is_true, %is_false
  %truth = zext i1 %is_true to i64
  %bool_place = getelementptr i8, ptr @bytes, i64 %truth
  br i1 %is_bool, label %found, label %differs

found:
  %pointer = phi ptr [ %data, %in_place ], [ %data, %hold ], [ %copy_data, %have_copy ], [ %value_place, %value ],
                     [ %integer_place, %store_integer ], [ %bool_place, %bool ]
  %table_place = getelementptr %State, ptr %state, i64 0, i32 0
  %table = load ptr, ptr %table_place
  %entry_place = getelementptr ptr, ptr %table, i64 %position
  store ptr %pointer, ptr %entry_place
  ret ptr %after
differs:
  ret ptr null
}

define internal ptr @read_tuple(ptr %object, ptr %words, ptr %state) {
entry:
  %wanted_place = getelementptr %Container, ptr %words, i64 0, i32 1
  %wanted = load ptr, ptr %wanted_place
  %type = call ptr @type_of(ptr %object)
  %same = icmp eq ptr %type, %wanted
  br i1 %same, label %sized, label %differs
sized:
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %size = call i64 @size_of(ptr %object)
  %complete = icmp eq i64 %size, %count
  br i1 %complete, label %items, label %differs
items:
  %first = getelementptr %Tuple, ptr %object, i64 0, i32 3
  %children = getelementptr %Container, ptr %words, i64 1
  %after = call ptr @read_items(ptr %first, i64 %count, ptr %children, ptr %state)
  ret ptr %after
differs:
  ret ptr null
}

; Objects that stand in a row.
define internal ptr @read_items(ptr %items, i64 %count, ptr %words, ptr %state) {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %ok ]
  %at = phi ptr [ %words, %entry ], [ %then, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %item
item:
  %place = getelementptr ptr, ptr %items, i64 %i
  %object = load ptr, ptr %place
  %then = call ptr @read(ptr %object, ptr %at, ptr %state)
  %differs = icmp eq ptr %then, null
  br i1 %differs, label %done, label %ok
ok:
  %next = add i64 %i, 1
  br label %loop
done:
  %result = phi ptr [ %at, %loop ], [ null, %item ]
  ret ptr %result
}

define internal ptr @read_list(ptr %object, ptr %words, ptr %state) {
entry:
  %wanted_place = getelementptr %Container, ptr %words, i64 0, i32 1
  %wanted = load ptr, ptr %wanted_place
  %type = call ptr @type_of(ptr %object)
  %same = icmp eq ptr %type, %wanted
  br i1 %same, label %sized, label %differs
sized:
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %size = call i64 @size_of(ptr %object)
  %complete = icmp eq i64 %size, %count
  br i1 %complete, label %items, label %differs
items:
  %items_place = getelementptr %List, ptr %object, i64 0, i32 3
  %first = load ptr, ptr %items_place
  %children = getelementptr %Container, ptr %words, i64 1
  %after = call ptr @read_items(ptr %first, i64 %count, ptr %children, ptr %state)
  ret ptr %after
differs:
  ret ptr null
}

; A dict with these keys in this order of insertion; each child's words follow its key.
define internal ptr @read_dict(ptr %object, ptr %words, ptr %state) {
entry:
  %position = alloca i64
  %key_place = alloca ptr
  %value_place = alloca ptr
  %wanted_place = getelementptr %Container, ptr %words, i64 0, i32 1
  %wanted = load ptr, ptr %wanted_place
  %type = call ptr @type_of(ptr %object)
  %same = icmp eq ptr %type, %wanted
  br i1 %same, label %sized, label %differs
sized:
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %size = call i64 @size_of(ptr %object)
  %complete = icmp eq i64 %size, %count
  br i1 %complete, label %items, label %differs
items:
  store i64 0, ptr %position
  %children = getelementptr %Container, ptr %words, i64 1
  br label %loop
loop:
  %i = phi i64 [ 0, %items ], [ %next, %ok ]
  %at = phi ptr [ %children, %items ], [ %then, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %entries
entries:
  %more = call i32 @PyDict_Next(ptr %object, ptr %position, ptr %key_place, ptr %value_place)
  %exhausted = icmp eq i32 %more, 0
  br i1 %exhausted, label %differs, label %compare
compare:
  %wanted_key = load ptr, ptr %at
  %key = load ptr, ptr %key_place
  %identical = icmp eq ptr %wanted_key, %key
  br i1 %identical, label %value, label %closer
closer:
  %equal = call i1 @same_value(ptr %wanted_key, ptr %key)
  br i1 %equal, label %value, label %differs
value:
  %child = getelementptr ptr, ptr %at, i64 1
  %object_there = load ptr, ptr %value_place
  %then = call ptr @read(ptr %object_there, ptr %child, ptr %state)
  %wrong = icmp eq ptr %then, null
  br i1 %wrong, label %differs, label %ok
ok:
  %next = add i64 %i, 1
  br label %loop
done:
  ret ptr %at
differs:
  ret ptr null
}

; Whether two objects are of one type and equal.
define internal i1 @same_value(ptr %one, ptr %two) noinline {
entry:
  %type_one = call ptr @type_of(ptr %one)
  %type_two = call ptr @type_of(ptr %two)
  %same_type = icmp eq ptr %type_one, %type_two
  br i1 %same_type, label %compare, label %no
compare:
  %result = call i32 @PyObject_RichCompareBool(ptr %one, ptr %two, i32 2)
  %failed = icmp slt i32 %result, 0
  br i1 %failed, label %clear, label %known
clear:
  call void @PyErr_Clear()
  br label %no
known:
  %equal = icmp ne i32 %result, 0
  ret i1 %equal
no:
  ret i1 false
}

; A container of a registered class: its own function takes it apart.
define internal ptr @read_opaque(ptr %object, ptr %words, ptr %state) {
entry:
  %argument = alloca ptr
  %wanted_place = getelementptr %Opaque, ptr %words, i64 0, i32 1
  %wanted = load ptr, ptr %wanted_place
  %type = call ptr @type_of(ptr %object)
  %same = icmp eq ptr %type, %wanted
  br i1 %same, label %flatten, label %differs
flatten:
  %function_place = getelementptr %Opaque, ptr %words, i64 0, i32 3
  %function = load ptr, ptr %function_place
  store ptr %object, ptr %argument
  %pair = call ptr @PyObject_Vectorcall(ptr %function, ptr %argument, i64 1, ptr null)
  %raised = icmp eq ptr %pair, null
  br i1 %raised, label %clear, label %check
check:
  call void @keep(ptr %state, ptr %pair)
  %pair_type = call ptr @type_of(ptr %pair)
  %tuple_type = call ptr @setting(i64 6)
  %is_tuple = icmp eq ptr %pair_type, %tuple_type
  br i1 %is_tuple, label %length, label %differs
length:
  %two = call i64 @size_of(ptr %pair)
  %is_pair = icmp eq i64 %two, 2
  br i1 %is_pair, label %static, label %differs
static:
  %its_static_place = getelementptr %Tuple, ptr %pair, i64 0, i32 3, i64 1
  %its_static = load ptr, ptr %its_static_place
  %static_place = getelementptr %Opaque, ptr %words, i64 0, i32 4
  %static_data = load ptr, ptr %static_place
  %equal = call i1 @same_value(ptr %static_data, ptr %its_static)
  br i1 %equal, label %children, label %differs
children:
  %given_place = getelementptr %Tuple, ptr %pair, i64 0, i32 3, i64 0
  %given = load ptr, ptr %given_place
  %row = call ptr @PySequence_Tuple(ptr %given)
  %no_row = icmp eq ptr %row, null
  br i1 %no_row, label %clear, label %counted
counted:
  call void @keep(ptr %state, ptr %row)
  %count_place = getelementptr %Opaque, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %size = call i64 @size_of(ptr %row)
  %complete = icmp eq i64 %size, %count
  br i1 %complete, label %items, label %differs
items:
  %first = getelementptr %Tuple, ptr %row, i64 0, i32 3
  %follow = getelementptr %Opaque, ptr %words, i64 1
  %after = call ptr @read_items(ptr %first, i64 %count, ptr %follow, ptr %state)
  ret ptr %after
clear: ; the general path will meet the same error, and say more about it
  call void @PyErr_Clear()
  br label %differs
differs:
  ret ptr null
}

define internal ptr @read_static(ptr %object, ptr %words) {
entry:
  %wanted_place = getelementptr %Static, ptr %words, i64 0, i32 1
  %wanted = load ptr, ptr %wanted_place
  %after = getelementptr %Static, ptr %words, i64 1
  %identical = icmp eq ptr %object, %wanted
  br i1 %identical, label %same, label %closer
closer:
  %equal = call i1 @same_value(ptr %wanted, ptr %object)
  br i1 %equal, label %same, label %differs
same:
  ret ptr %after
differs:
  ret ptr null
}

; -- results --------------------------------------------------------------------------------------
; Functions that build take the state, whose last field says where the words are, and move it on.

define internal ptr @build(ptr %state) {
entry:
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  %words = load ptr, ptr %at_place
  %kind = load i64, ptr %words
  switch i64 %kind, label %none [
    i64 0, label %leaf
    i64 1, label %tuple
    i64 2, label %list
    i64 3, label %dict
    i64 5, label %opaque
  ]
leaf:
  %array = call ptr @build_leaf(ptr %words, ptr %state)
  ret ptr %array
tuple:
  %tuple_place = getelementptr %Container, ptr %words, i64 0, i32 1
  %tuple_type = load ptr, ptr %tuple_place
  %plain_type = call ptr @setting(i64 6)
  %plain = icmp eq ptr %tuple_type, %plain_type
  %tuple_count = call i64 @children_of(ptr %words, ptr %state)
  br i1 %plain, label %plain_tuple, label %named_tuple
plain_tuple:
  %unnamed = call ptr @PyTuple_New(i64 %tuple_count)
  br label %fill_tuple
named_tuple:
  %named = call ptr @PyType_GenericAlloc(ptr %tuple_type, i64 %tuple_count)
  br label %fill_tuple
fill_tuple:
  %new_tuple = phi ptr [ %unnamed, %plain_tuple ], [ %named, %named_tuple ]
  %tuple_items = getelementptr %Tuple, ptr %new_tuple, i64 0, i32 3
  %filled_tuple = call ptr @fill(ptr %new_tuple, ptr %tuple_items, i64 %tuple_count, ptr %state)
  ret ptr %filled_tuple
list:
  %list_count = call i64 @children_of(ptr %words, ptr %state)
  %filled_list = call ptr @build_list(i64 %list_count, ptr %state)
  ret ptr %filled_list
dict:
  %dict_count = call i64 @children_of(ptr %words, ptr %state)
  %filled_dict = call ptr @build_dict(i64 %dict_count, ptr %state)
  ret ptr %filled_dict
opaque:
  %made = call ptr @build_opaque(ptr %words, ptr %state)
  ret ptr %made
none:
  %after = getelementptr i64, ptr %words, i64 1
  store ptr %after, ptr %at_place
  %None = call ptr @setting(i64 5)
  call void @Py_IncRef(ptr %None)
  ret ptr %None
}

; The number of children; moves on to the first of them.
define internal i64 @children_of(ptr %words, ptr %state) alwaysinline {
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %children = getelementptr %Container, ptr %words, i64 1
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  store ptr %children, ptr %at_place
  ret i64 %count
}

define internal ptr @build_leaf(ptr %words, ptr %state) alwaysinline {
entry:
  %position_place = getelementptr %Out, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %dtype_place = getelementptr %Out, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %ndim_place = getelementptr %Out, ptr %words, i64 0, i32 3
  %ndim = load i64, ptr %ndim_place
  %shape = getelementptr %Out, ptr %words, i64 0, i32 4
  %after = getelementptr i64, ptr %shape, i64 %ndim
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  store ptr %after, ptr %at_place
  %table_place = getelementptr %State, ptr %state, i64 0, i32 0
  %table = load ptr, ptr %table_place
  %place = getelementptr ptr, ptr %table, i64 %position
  %data = load ptr, ptr %place
  %rank_0 = icmp eq i64 %ndim, 0
  br i1 %rank_0, label %scalar, label %array
scalar:
  %value = call ptr @fnad.numpy.Scalar(ptr %data, ptr %dtype, ptr null)
  ret ptr %value
array:
  call void @Py_IncRef(ptr %dtype) ; which NumPy takes over, also if it fails
  %array_type = call ptr @setting(i64 0)
  %ndim_32 = trunc i64 %ndim to i32
  %new = call ptr @fnad.numpy.NewFromDescr(ptr %array_type, ptr %dtype, i32 %ndim_32, ptr %shape,
                                           ptr null, ptr %data, i32 1281, ptr null) ; CARRAY
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %done, label %own
own: ; from now on the array frees the memory, by its handler
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %donor_place = getelementptr ptr, ptr %room, i64 %position
  %donor = load ptr, ptr %donor_place
  %fresh = icmp eq ptr %donor, null
  br i1 %fresh, label %pool, label %donated
pool:
  %pool_handler = call ptr @setting(i64 7)
  call void @Py_IncRef(ptr %pool_handler)
  br label %owned
donated:
  %its_handler_place = getelementptr %Array, ptr %donor, i64 0, i32 11
  %its_handler = load ptr, ptr %its_handler_place
  %emptied = call i1 @empty(ptr %donor)
  br i1 %emptied, label %owned, label %drop
drop:
  call void @Py_DecRef(ptr %new)
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
owned:
  %handler = phi ptr [ %pool_handler, %pool ], [ %its_handler, %donated ]
  store ptr null, ptr %place
  %flags_place = getelementptr %Array, ptr %new, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %owning = or i32 %flags, 4 ; OWNDATA
  store i32 %owning, ptr %flags_place
  %handler_place = getelementptr %Array, ptr %new, i64 0, i32 11
  store ptr %handler, ptr %handler_place
  br label %done
done:
  ret ptr %new
}

; Leave an array that has given its memory away without elements.
define internal i1 @empty(ptr %array) noinline {
entry:
  %data = call ptr @fnad.pool.take(i64 1)
  %failed = icmp eq ptr %data, null
  br i1 %failed, label %no, label %yes
yes:
  %data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  store ptr %data, ptr %data_place
  %handler = call ptr @setting(i64 7)
  call void @Py_IncRef(ptr %handler)
  %handler_place = getelementptr %Array, ptr %array, i64 0, i32 11
  store ptr %handler, ptr %handler_place
  %ndim_place = getelementptr %Array, ptr %array, i64 0, i32 3
  %ndim_32 = load i32, ptr %ndim_place
  %ndim = sext i32 %ndim_32 to i64
  %bytes = shl i64 %ndim, 3
  %shape_place = getelementptr %Array, ptr %array, i64 0, i32 4
  %shape = load ptr, ptr %shape_place
  call void @llvm.memset.p0.i64(ptr %shape, i8 0, i64 %bytes, i1 false)
  ret i1 true
no:
  ret i1 false
}

; Build the items of a new tuple or list; gives the container up if one fails.
define internal ptr @fill(ptr %container, ptr %items, i64 %count, ptr %state) {
entry:
  %missing = icmp eq ptr %container, null
  br i1 %missing, label %failed, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %item
item:
  %object = call ptr @build(ptr %state)
  %none = icmp eq ptr %object, null
  br i1 %none, label %drop, label %ok
ok:
  %place = getelementptr ptr, ptr %items, i64 %i
  store ptr %object, ptr %place
  %next = add i64 %i, 1
  br label %loop
done:
  ret ptr %container
drop:
  call void @Py_DecRef(ptr %container)
  ret ptr null
failed:
  ret ptr null
}

define internal ptr @build_list(i64 %count, ptr %state) {
entry:
  %new = call ptr @PyList_New(i64 %count)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %items
items:
  %items_place = getelementptr %List, ptr %new, i64 0, i32 3
  %first = load ptr, ptr %items_place
  %filled = call ptr @fill(ptr %new, ptr %first, i64 %count, ptr %state)
  ret ptr %filled
none:
  ret ptr null
}

define internal ptr @build_dict(i64 %count, ptr %state) {
entry:
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  %new = call ptr @PyDict_New()
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %set ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %item
item:
  %words = load ptr, ptr %at_place
  %key = load ptr, ptr %words
  %child = getelementptr ptr, ptr %words, i64 1
  store ptr %child, ptr %at_place
  %object = call ptr @build(ptr %state)
  %nothing = icmp eq ptr %object, null
  br i1 %nothing, label %drop, label %set
set:
  %error = call i32 @PyDict_SetItem(ptr %new, ptr %key, ptr %object)
  call void @Py_DecRef(ptr %object)
  %next = add i64 %i, 1
  %wrong = icmp ne i32 %error, 0
  br i1 %wrong, label %drop, label %loop
done:
  ret ptr %new
drop:
  call void @Py_DecRef(ptr %new)
  ret ptr null
none:
  ret ptr null
}

; An instance of a registered class, made by its own function from its static data and a list.
define internal ptr @build_opaque(ptr %words, ptr %state) {
entry:
  %arguments = alloca [2 x ptr]
  %count_place = getelementptr %Opaque, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %children = getelementptr %Opaque, ptr %words, i64 1
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  store ptr %children, ptr %at_place
  %list = call ptr @build_list(i64 %count, ptr %state)
  %failed = icmp eq ptr %list, null
  br i1 %failed, label %none, label %make
make:
  %static_place = getelementptr %Opaque, ptr %words, i64 0, i32 4
  %static_data = load ptr, ptr %static_place
  store ptr %static_data, ptr %arguments
  %second = getelementptr ptr, ptr %arguments, i64 1
  store ptr %list, ptr %second
  %function_place = getelementptr %Opaque, ptr %words, i64 0, i32 3
  %function = load ptr, ptr %function_place
  %made = call ptr @PyObject_Vectorcall(ptr %function, ptr %arguments, i64 2, ptr null)
  call void @Py_DecRef(ptr %list)
  ret ptr %made
none:
  ret ptr null
}

; -- calls ----------------------------------------------------------------------------------------

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

; Memory for the results, found in the table; scalars have a word of the state. A result that
; updates an argument has its memory, if it was donated and nobody else has it, or a copy.
define internal i1 @take_results(ptr %signature, ptr %state) {
entry:
  %table = load ptr, ptr %state
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %count_place = getelementptr %Signature, ptr %signature, i64 0, i32 12
  %count = load i64, ptr %count_place
  %places_place = getelementptr %Signature, ptr %signature, i64 0, i32 13
  %places = load ptr, ptr %places_place
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %one
one:
  %position_place = getelementptr %Place, ptr %places, i64 %i
  %position = load i64, ptr %position_place
  %bytes_place = getelementptr %Place, ptr %places, i64 %i, i32 1
  %bytes = load i64, ptr %bytes_place
  %source_place = getelementptr %Place, ptr %places, i64 %i, i32 2
  %source = load i64, ptr %source_place
  %place = getelementptr ptr, ptr %table, i64 %position
  %word_place = getelementptr ptr, ptr %room, i64 %position
  store ptr null, ptr %word_place
  %scalar = icmp slt i64 %bytes, 0
  br i1 %scalar, label %ok, label %array
array:
  %updates = icmp sge i64 %source, 0
  br i1 %updates, label %update, label %block
update:
  %argument_place = getelementptr ptr, ptr %room, i64 %source
  %argument = load ptr, ptr %argument_place
  %old_place = getelementptr ptr, ptr %table, i64 %source
  %old = load ptr, ptr %old_place
  %given = call i1 @is_donated(ptr %argument)
  br i1 %given, label %reuse, label %copy
reuse:
  store ptr %argument, ptr %word_place
  br label %ok
copy:
  %room_for_copy = call ptr @fnad.pool.take(i64 %bytes)
  %no_room = icmp eq ptr %room_for_copy, null
  br i1 %no_room, label %failed, label %filled
filled:
  call void @llvm.memcpy.p0.p0.i64(ptr %room_for_copy, ptr %old, i64 %bytes, i1 false)
  br label %ok
block:
  %taken = call ptr @fnad.pool.take(i64 %bytes)
  %none = icmp eq ptr %taken, null
  br i1 %none, label %failed, label %ok
ok:
  %pointer = phi ptr [ %word_place, %one ], [ %old, %reuse ], [ %room_for_copy, %filled ], [ %taken, %block ]
  store ptr %pointer, ptr %place
  %next = add i64 %i, 1
  br label %loop
done:
  ret i1 true
failed:
  ret i1 false
}

; Whether an argument's memory can go to a result: an array that owns it, may be written, and is
; known to nobody but one container and this call. Views would be further references.
define internal i1 @is_donated(ptr %array) {
entry:
  %missing = icmp eq ptr %array, null
  br i1 %missing, label %no, label %check
check:
  %references = load i64, ptr %array
  %alone = icmp eq i64 %references, 2
  %flags_place = getelementptr %Array, ptr %array, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %needed = and i32 %flags, 1029 ; C_CONTIGUOUS, OWNDATA, WRITEABLE
  %free = icmp eq i32 %needed, 1029
  %base_place = getelementptr %Array, ptr %array, i64 0, i32 6
  %base = load ptr, ptr %base_place
  %no_base = icmp eq ptr %base, null
  %free_alone = and i1 %alone, %free
  %result = and i1 %free_alone, %no_base
  ret i1 %result
no:
  ret i1 false
}

; Give back the memory of results that no array has taken over.
define internal void @give_results(ptr %signature, ptr %state) noinline {
entry:
  %table = load ptr, ptr %state
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %count_place = getelementptr %Signature, ptr %signature, i64 0, i32 12
  %count = load i64, ptr %count_place
  %places_place = getelementptr %Signature, ptr %signature, i64 0, i32 13
  %places = load ptr, ptr %places_place
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %after ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %one
one:
  %position_place = getelementptr %Place, ptr %places, i64 %i
  %position = load i64, ptr %position_place
  %bytes_place = getelementptr %Place, ptr %places, i64 %i, i32 1
  %bytes = load i64, ptr %bytes_place
  %place = getelementptr ptr, ptr %table, i64 %position
  %data = load ptr, ptr %place
  %scalar = icmp slt i64 %bytes, 0
  %taken = icmp eq ptr %data, null
  %nothing = or i1 %scalar, %taken
  br i1 %nothing, label %after, label %there
there: ; what was donated but not taken over stays where it is
  %word_place = getelementptr ptr, ptr %room, i64 %position
  %donor = load ptr, ptr %word_place
  %own = icmp eq ptr %donor, null
  br i1 %own, label %give, label %after
give:
  call void @fnad.pool.give(ptr %data)
  br label %after
after:
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
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
  %keeps_place = getelementptr %State, ptr %state, i64 0, i32 5
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
  %at_place = getelementptr %State, ptr %state, i64 0, i32 4
  store ptr %out_words, ptr %at_place
  %built = call ptr @build(ptr %state)
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
