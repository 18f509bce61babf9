; Reading leaves of arguments: arrays, NumPy's scalars, Python's numbers.
;
; An array in C order is read in place, and so is one in the order of axes that the program was
; compiled for (`read_permuted`). Others are copied, except those for which a program of their own
; would be better, which do not have the signature.

define internal ptr @read_leaf(ptr %object, ptr %words, ptr %state) alwaysinline {
entry:
  %overflow = alloca i32
  %type = call ptr @type_of(ptr %object)
  %position_place = getelementptr %Leaf, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %ndim_place = getelementptr %Leaf, ptr %words, i64 0, i32 3
  %ndim = load i64, ptr %ndim_place
  %shape = getelementptr %Leaf, ptr %words, i64 0, i32 8
  %after = getelementptr i64, ptr %shape, i64 %ndim
  %array_type = call ptr @setting(i64 0)
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %array, label %other

array:
  %dtype_place = getelementptr %Leaf, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %same = call i1 @same_type(ptr %object, ptr %dtype, i64 %ndim, ptr %shape)
  br i1 %same, label %layout, label %differs
layout:
  %flags_place = getelementptr %Array, ptr %object, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %needed = and i32 %flags, 257 ; C_CONTIGUOUS and ALIGNED
  %dense = icmp eq i32 %needed, 257
  br i1 %dense, label %in_place, label %other_layout
in_place:
  %data = call ptr @held_data(ptr %object, i64 %position, ptr %state)
  br label %found
other_layout:
  %itemsize_place = getelementptr %Leaf, ptr %words, i64 0, i32 7
  %itemsize = load i64, ptr %itemsize_place
  %strict = icmp ne i64 %itemsize, 0
  %aligned = icmp eq i32 %needed, 256
  %choosy = and i1 %strict, %aligned
  br i1 %choosy, label %check, label %copied
check:
  %permuted = call i1 @is_permuted(ptr %object, i64 %ndim, ptr %shape, i64 %itemsize)
  br i1 %permuted, label %differs, label %copied
copied:
  %copy = call ptr @copy_of(ptr %object, ptr %words)
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
  %pointer = phi ptr [ %data, %in_place ], [ %copy_data, %have_copy ], [ %value_place, %value ],
                     [ %integer_place, %store_integer ], [ %bool_place, %bool ]
  %table_place = getelementptr %State, ptr %state, i64 0, i32 0
  %table = load ptr, ptr %table_place
  %entry_place = getelementptr ptr, ptr %table, i64 %position
  store ptr %pointer, ptr %entry_place
  ret ptr %after
differs:
  ret ptr null
}

; Whether an array has this dtype and this shape.
define internal i1 @same_type(ptr %array, ptr %dtype, i64 %ndim, ptr %shape) alwaysinline {
entry:
  %its_dtype_place = getelementptr %Array, ptr %array, i64 0, i32 7
  %its_dtype = load ptr, ptr %its_dtype_place
  %same_dtype = icmp eq ptr %dtype, %its_dtype
  br i1 %same_dtype, label %dimensions, label %differs
dimensions:
  %its_ndim_place = getelementptr %Array, ptr %array, i64 0, i32 3
  %its_ndim_32 = load i32, ptr %its_ndim_place
  %its_ndim = sext i32 %its_ndim_32 to i64
  %same_ndim = icmp eq i64 %ndim, %its_ndim
  br i1 %same_ndim, label %extents, label %differs
extents:
  %its_shape_place = getelementptr %Array, ptr %array, i64 0, i32 4
  %its_shape = load ptr, ptr %its_shape_place
  br label %axes
axes:
  %axis = phi i64 [ 0, %extents ], [ %axis_next, %axis_ok ]
  %all_axes = icmp eq i64 %axis, %ndim
  br i1 %all_axes, label %same, label %extent
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
same:
  ret i1 true
differs:
  ret i1 false
}

; Where the elements of an argument are, which is kept alive and remembered if the call needs that.
define internal ptr @held_data(ptr %array, i64 %position, ptr %state) alwaysinline {
entry:
  %data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  %data = load ptr, ptr %data_place
  %keeps_place = getelementptr %State, ptr %state, i64 0, i32 4
  %keeps = load i64, ptr %keeps_place
  %kept = icmp ne i64 %keeps, 0
  br i1 %kept, label %hold, label %done
hold:
  call void @Py_IncRef(ptr %array)
  call void @keep(ptr %state, ptr %array)
  call void @remember(ptr %state, i64 %position, ptr %array)
  br label %done
done:
  ret ptr %data
}

; A copy in C order, in memory of the pool: the system would have to clear other memory first, which
; takes as long as the copy.
define internal ptr @copy_of(ptr %array, ptr %words) noinline {
entry:
  %dtype_place = getelementptr %Leaf, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %ndim_place = getelementptr %Leaf, ptr %words, i64 0, i32 3
  %ndim = load i64, ptr %ndim_place
  %bytes_place = getelementptr %Leaf, ptr %words, i64 0, i32 6
  %bytes = load i64, ptr %bytes_place
  %shape = getelementptr %Leaf, ptr %words, i64 0, i32 8
  %data = call ptr @fnad.pool.take(i64 %bytes)
  %no_data = icmp eq ptr %data, null
  br i1 %no_data, label %failed, label %make
make:
  %copy = call ptr @array_of(ptr %dtype, i64 %ndim, ptr %shape, ptr %data)
  %no_array = icmp eq ptr %copy, null
  br i1 %no_array, label %give, label %fill
fill:
  %handler = call ptr @setting(i64 7)
  call void @Py_IncRef(ptr %handler)
  call void @fnad.pool.own(ptr %copy, ptr %handler)
  %status = call i32 @fnad.numpy.CopyInto(ptr %copy, ptr %array)
  %filled = icmp eq i32 %status, 0
  br i1 %filled, label %done, label %drop
done:
  ret ptr %copy
give:
  call void @fnad.pool.give(ptr %data)
  br label %failed
drop:
  call void @Py_DecRef(ptr %copy)
  br label %failed
failed:
  ret ptr null
}

; Whether an array that is not in C order is dense but for that: whether, in some order, the stride of
; each axis is the size of all that is further in. What is decided here must be what `_order_of` of
; `transforms/layouts.py` decides.
define internal i1 @is_permuted(ptr %array, i64 %ndim, ptr %shape, i64 %itemsize) noinline {
entry:
  %strides_place = getelementptr %Array, ptr %array, i64 0, i32 5
  %strides = load ptr, ptr %strides_place
  br label %outwards
outwards: ; look for the axis whose stride is the size of those that were found
  %size = phi i64 [ %itemsize, %entry ], [ %larger, %next_axis ]
  br label %axes
axes:
  %axis = phi i64 [ 0, %outwards ], [ %axis_next, %not_this ]
  %none = icmp eq i64 %axis, %ndim
  br i1 %none, label %total, label %one
one:
  %extent_place = getelementptr i64, ptr %shape, i64 %axis
  %extent = load i64, ptr %extent_place
  %stride_place = getelementptr i64, ptr %strides, i64 %axis
  %stride = load i64, ptr %stride_place
  %several = icmp sgt i64 %extent, 1
  %fits = icmp eq i64 %stride, %size
  %is_next = and i1 %several, %fits
  br i1 %is_next, label %next_axis, label %not_this
not_this:
  %axis_next = add i64 %axis, 1
  br label %axes
next_axis:
  %larger = mul i64 %size, %extent
  br label %outwards
total:
  %i = phi i64 [ 0, %axes ], [ %i_next, %factor ]
  %product = phi i64 [ %itemsize, %axes ], [ %bytes, %factor ]
  %all = icmp eq i64 %i, %ndim
  br i1 %all, label %compare, label %factor
factor:
  %factor_place = getelementptr i64, ptr %shape, i64 %i
  %length = load i64, ptr %factor_place
  %bytes = mul i64 %product, %length
  %i_next = add i64 %i, 1
  br label %total
compare:
  %dense = icmp eq i64 %size, %product
  ret i1 %dense
}

; An array that is read in place with exactly these strides.
define internal ptr @read_permuted(ptr %object, ptr %words, ptr %state) {
entry:
  %type = call ptr @type_of(ptr %object)
  %array_type = call ptr @setting(i64 0)
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %array, label %differs
array:
  %dtype_place = getelementptr %Permuted, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %ndim_place = getelementptr %Permuted, ptr %words, i64 0, i32 3
  %ndim = load i64, ptr %ndim_place
  %shape = getelementptr %Permuted, ptr %words, i64 0, i32 4
  %strides = getelementptr i64, ptr %shape, i64 %ndim
  %same = call i1 @same_type(ptr %object, ptr %dtype, i64 %ndim, ptr %shape)
  br i1 %same, label %layout, label %differs
layout:
  %flags_place = getelementptr %Array, ptr %object, i64 0, i32 8
  %flags = load i32, ptr %flags_place
  %aligned_bit = and i32 %flags, 256
  %aligned = icmp ne i32 %aligned_bit, 0
  %its_strides_place = getelementptr %Array, ptr %object, i64 0, i32 5
  %its_strides = load ptr, ptr %its_strides_place
  br i1 %aligned, label %axes, label %differs
axes:
  %axis = phi i64 [ 0, %layout ], [ %axis_next, %axis_ok ]
  %all_axes = icmp eq i64 %axis, %ndim
  br i1 %all_axes, label %found, label %one
one:
  %extent_place = getelementptr i64, ptr %shape, i64 %axis
  %extent = load i64, ptr %extent_place
  %wanted_place = getelementptr i64, ptr %strides, i64 %axis
  %wanted = load i64, ptr %wanted_place
  %stride_place = getelementptr i64, ptr %its_strides, i64 %axis
  %stride = load i64, ptr %stride_place
  %single = icmp eq i64 %extent, 1 ; which may have any stride
  %equal = icmp eq i64 %wanted, %stride
  %fits = or i1 %single, %equal
  br i1 %fits, label %axis_ok, label %differs
axis_ok:
  %axis_next = add i64 %axis, 1
  br label %axes
found:
  %position_place = getelementptr %Permuted, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %data = call ptr @held_data(ptr %object, i64 %position, ptr %state)
  %table_place = getelementptr %State, ptr %state, i64 0, i32 0
  %table = load ptr, ptr %table_place
  %entry_place = getelementptr ptr, ptr %table, i64 %position
  store ptr %data, ptr %entry_place
  %after = getelementptr i64, ptr %strides, i64 %ndim
  ret ptr %after
differs:
  ret ptr null
}
