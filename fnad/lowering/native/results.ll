; Memory for results, and the arrays that own it.

; Where the next place is.
define internal ptr @after(ptr %place) alwaysinline {
  %ndim_place = getelementptr %Place, ptr %place, i64 0, i32 4
  %ndim = load i64, ptr %ndim_place
  %lengths = shl i64 %ndim, 1
  %next = getelementptr %Place, ptr %place, i64 0, i32 6, i64 %lengths
  ret ptr %next
}

; Memory for the results, found in the table; scalars have words of the state. Arrays are made now,
; if they have memory of their own, and wait in the state. A result that updates an argument has
; that one's memory, if it was donated and nobody else has it, or a copy; `build_update` makes it.
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
  %at = phi ptr [ %places, %entry ], [ %after, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %one
one:
  %position = load i64, ptr %at
  %bytes_place = getelementptr %Place, ptr %at, i64 0, i32 1
  %bytes = load i64, ptr %bytes_place
  %source_place = getelementptr %Place, ptr %at, i64 0, i32 2
  %source = load i64, ptr %source_place
  %after = call ptr @after(ptr %at)
  %place = getelementptr ptr, ptr %table, i64 %position
  %word_place = getelementptr ptr, ptr %room, i64 %position
  store ptr null, ptr %word_place
  %scalar = icmp slt i64 %bytes, 0
  br i1 %scalar, label %number, label %array
number:
  %number_place = getelementptr ptr, ptr %room, i64 %source
  br label %ok
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
  br i1 %none, label %failed, label %make
make:
  %made = call ptr @make_array(ptr %at, ptr %taken)
  store ptr %made, ptr %word_place
  %no_array = icmp eq ptr %made, null
  br i1 %no_array, label %give, label %ok
give:
  call void @fnad.pool.give(ptr %taken)
  ret i1 false
ok:
  %pointer = phi ptr [ %number_place, %number ], [ %old, %reuse ], [ %room_for_copy, %filled ], [ %taken, %make ]
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

; Give back what results have that nobody has taken over.
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
  %i = phi i64 [ 0, %entry ], [ %next, %over ]
  %at = phi ptr [ %places, %entry ], [ %after, %over ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %one
one:
  %position = load i64, ptr %at
  %bytes_place = getelementptr %Place, ptr %at, i64 0, i32 1
  %bytes = load i64, ptr %bytes_place
  %source_place = getelementptr %Place, ptr %at, i64 0, i32 2
  %source = load i64, ptr %source_place
  %after = call ptr @after(ptr %at)
  %place = getelementptr ptr, ptr %table, i64 %position
  %data = load ptr, ptr %place
  %scalar = icmp slt i64 %bytes, 0
  %taken = icmp eq ptr %data, null
  %nothing = or i1 %scalar, %taken
  br i1 %nothing, label %over, label %there
there:
  %word_place = getelementptr ptr, ptr %room, i64 %position
  %object = load ptr, ptr %word_place
  %updates = icmp sge i64 %source, 0
  br i1 %updates, label %update, label %array
array:
  call void @Py_DecRef(ptr %object)
  br label %over
update: ; what was donated but not taken over stays where it is
  %own = icmp eq ptr %object, null
  br i1 %own, label %give, label %over
give:
  call void @fnad.pool.give(ptr %data)
  br label %over
over:
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

; The array of a result, which owns a block from then on: what rests in it, if it has the rank, or a
; new one.
define internal ptr @make_array(ptr %result, ptr %data) alwaysinline {
entry:
  %resting_place = getelementptr ptr, ptr %data, i64 -1
  %resting = load ptr, ptr %resting_place
  %none = icmp eq ptr %resting, null
  br i1 %none, label %new, label %ranked
ranked:
  %its_ndim_place = getelementptr %Array, ptr %resting, i64 0, i32 3
  %its_ndim_32 = load i32, ptr %its_ndim_place
  %its_ndim = sext i32 %its_ndim_32 to i64
  %ndim_place = getelementptr %Place, ptr %result, i64 0, i32 4
  %ndim = load i64, ptr %ndim_place
  %same_ndim = icmp eq i64 %ndim, %its_ndim
  br i1 %same_ndim, label %awake, label %new
awake:
  call void @wake(ptr %resting, ptr %data, ptr %result, i64 %ndim)
  ret ptr %resting
new:
  %made = call ptr @new_array(ptr %result, ptr %data, ptr null)
  ret ptr %made
}

; Make an array of one at rest. All that NumPy's constructor would set is set anew.
define internal void @wake(ptr %array, ptr %data, ptr %result, i64 %ndim) alwaysinline {
entry:
  %its_dtype_place = getelementptr %Place, ptr %result, i64 0, i32 3
  %dtype = load ptr, ptr %its_dtype_place
  %its_flags_place = getelementptr %Place, ptr %result, i64 0, i32 5
  %flags = load i64, ptr %its_flags_place
  %from = getelementptr %Place, ptr %result, i64 0, i32 6
  store i64 1, ptr %array
  %array_type = call ptr @setting(i64 0)
  %type_place = getelementptr %Array, ptr %array, i64 0, i32 1
  store ptr %array_type, ptr %type_place
  %data_place = getelementptr %Array, ptr %array, i64 0, i32 2
  store ptr %data, ptr %data_place
  %kept_shape_place = getelementptr ptr, ptr %data, i64 -3 ; of the block's header, see `pool.ll`
  %shape = load ptr, ptr %kept_shape_place
  %shape_place = getelementptr %Array, ptr %array, i64 0, i32 4
  store ptr %shape, ptr %shape_place
  %strides = getelementptr i64, ptr %shape, i64 %ndim
  %strides_place = getelementptr %Array, ptr %array, i64 0, i32 5
  store ptr %strides, ptr %strides_place
  %base_place = getelementptr %Array, ptr %array, i64 0, i32 6
  store ptr null, ptr %base_place
  call void @refer(ptr %dtype)
  %dtype_place = getelementptr %Array, ptr %array, i64 0, i32 7
  store ptr %dtype, ptr %dtype_place
  %flags_32 = trunc i64 %flags to i32
  %flags_place = getelementptr %Array, ptr %array, i64 0, i32 8
  store i32 %flags_32, ptr %flags_place
  %weak_place = getelementptr %Array, ptr %array, i64 0, i32 9
  store ptr null, ptr %weak_place
  %buffers_place = getelementptr %Array, ptr %array, i64 0, i32 10
  store ptr null, ptr %buffers_place
  %handler = call ptr @setting(i64 7)
  call void @refer(ptr %handler)
  %handler_place = getelementptr %Array, ptr %array, i64 0, i32 11
  store ptr %handler, ptr %handler_place
  %length = shl i64 %ndim, 1
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %word_place = getelementptr i64, ptr %from, i64 %i
  %word = load i64, ptr %word_place
  %to_place = getelementptr i64, ptr %shape, i64 %i
  store i64 %word, ptr %to_place
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %length
  br i1 %more, label %loop, label %done
done:
  ret void
}

; A new array object for the data of a result, which it owns from then on. A donor has given the data,
; if there is one, with the handler.
define internal ptr @new_array(ptr %result, ptr %data, ptr %donor) noinline {
entry:
  %dtype_place = getelementptr %Place, ptr %result, i64 0, i32 3
  %dtype = load ptr, ptr %dtype_place
  %ndim_place = getelementptr %Place, ptr %result, i64 0, i32 4
  %ndim = load i64, ptr %ndim_place
  %shape = getelementptr %Place, ptr %result, i64 0, i32 6
  %new = call ptr @array_of(ptr %dtype, i64 %ndim, ptr %shape, ptr %data)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %done, label %own
own: ; from now on the array frees the memory, by its handler
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
  call void @fnad.pool.own(ptr %new, ptr %handler)
  br label %done
done:
  ret ptr %new
}

; A new array object for data in C order, which it does not own.
define internal ptr @array_of(ptr %dtype, i64 %ndim, ptr %shape, ptr %data) {
  %ndim_32 = trunc i64 %ndim to i32
  call void @Py_IncRef(ptr %dtype) ; which NumPy takes over, also if it fails
  %array_type = call ptr @setting(i64 0)
  %new = call ptr @fnad.numpy.NewFromDescr(ptr %array_type, ptr %dtype, i32 %ndim_32, ptr %shape,
                                           ptr null, ptr %data, i32 1281, ptr null) ; CARRAY
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
