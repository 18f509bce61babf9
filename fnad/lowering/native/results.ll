; Memory for results, and building them as their words say.

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
