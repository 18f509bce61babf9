; What the files of native calls have in common: the layouts of objects, signatures, the functions of
; CPython and NumPy.
;
; The structures below are those of CPython's and NumPy's headers; `capi.py` checks them.

%Object = type { i64, ptr } ; reference count, type
%Sized = type { i64, ptr, i64 }
%Tuple = type { i64, ptr, i64, [0 x ptr] }
%List = type { i64, ptr, i64, ptr }
%Dict = type { i64, ptr, i64, i64, ptr } ; of 3 and 4: a version, the table of the items
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
; A result: its position in the table, its bytes (of a scalar -1), the position of the argument that
; is updated in its place (or -1; of a scalar, the first of its words), dtype, ndim, flags, shape,
; strides.
%Place = type { i64, i64, i64, ptr, i64, i64, [0 x i64] }

; Words of arguments and results. All start with what they are.
%Leaf = type { i64, i64, ptr, i64, ptr, i64, i64, i64, [0 x i64] }
; position, dtype, ndim, scalar type, Python type, bytes, 0 or the size of an element if arrays that
; are dense in another order of axes are refused, shape
%Permuted = type { i64, i64, ptr, i64, [0 x i64] }       ; position, dtype, ndim, shape and strides
%Out = type { i64, i64 }                                 ; position
%OutOf = type { i64, i64, ptr }                          ; also a scalar's dtype, or an update's %Place
%Container = type { i64, ptr, i64 }                      ; type, number of children
%Mapping = type { i64, ptr, i64, ptr, i64, i64, i64 }
; template, number of children, its values; the bytes of the template's table (or 0: see `copied_dict`),
; where its first key stands there, and how far it is to the next
%Opaque = type { i64, ptr, i64, ptr, ptr }               ; also the function and the static data
%Static = type { i64, ptr }

%State = type { ptr, ptr, ptr, i64, i64 }
; table; a word for each of its entries, which is the value of an integer, the array that is an
; argument or a result, or the one that was donated to a result; objects kept, their number; whether
; to keep arguments

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
declare ptr @PyDict_Copy(ptr)
declare ptr @PyDict_New()
declare ptr @PyObject_Malloc(i64)
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_VectorcallMethod(ptr, ptr, i64, ptr)
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare ptr @PySequence_Tuple(ptr)
declare ptr @fnad.numpy.NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare i32 @fnad.numpy.CopyInto(ptr, ptr)
declare ptr @fnad.numpy.Scalar(ptr, ptr, ptr)
declare ptr @fnad.pool.take(i64)
declare void @fnad.pool.give(ptr)
declare void @fnad.pool.own(ptr, ptr)
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

; `Py_IncRef` without a call. Objects that never die have counts whose lower half is negative.
define internal void @refer(ptr %object) alwaysinline {
  %count = load i64, ptr %object
  %lower = trunc i64 %count to i32
  %mortal = icmp sge i32 %lower, 0
  %one = zext i1 %mortal to i64
  %next = add i64 %count, %one
  store i64 %next, ptr %object
  ret void
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
