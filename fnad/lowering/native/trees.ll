; Building results as their words say.
;
; Functions that build take the words that describe an object. They return it, or null if there is an
; exception, and where the next words are.

%Built = type { ptr, ptr }

define internal %Built @build(ptr %words, ptr %state) alwaysinline {
entry:
  %kind = load i64, ptr %words
  %is_array = icmp eq i64 %kind, 0
  br i1 %is_array, label %array, label %other
array: ; it was made before the program ran
  %position_place = getelementptr %Out, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %table = load ptr, ptr %state
  %place = getelementptr ptr, ptr %table, i64 %position
  store ptr null, ptr %place
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %word_place = getelementptr ptr, ptr %room, i64 %position
  %made = load ptr, ptr %word_place
  %after = getelementptr %Out, ptr %words, i64 1
  %built = call %Built @pair(ptr %made, ptr %after)
  ret %Built %built
other:
  %else = call %Built @build_other(ptr %words, ptr %state, i64 %kind)
  ret %Built %else
}

define internal %Built @build_other(ptr %words, ptr %state, i64 %kind) noinline {
entry:
  switch i64 %kind, label %none [
    i64 1, label %tuple
    i64 2, label %list
    i64 3, label %dict
    i64 5, label %opaque
    i64 7, label %scalar
    i64 8, label %update
  ]
tuple:
  %new_tuple = tail call %Built @build_tuple(ptr %words, ptr %state)
  ret %Built %new_tuple
list:
  %new_list = tail call %Built @build_list(ptr %words, ptr %state)
  ret %Built %new_list
dict:
  %new_dict = tail call %Built @build_dict(ptr %words, ptr %state)
  ret %Built %new_dict
opaque:
  %made = tail call %Built @build_opaque(ptr %words, ptr %state)
  ret %Built %made
scalar:
  %new_scalar = tail call %Built @build_scalar(ptr %words, ptr %state)
  ret %Built %new_scalar
update:
  %updated = tail call %Built @build_update(ptr %words, ptr %state)
  ret %Built %updated
none:
  %after = getelementptr i64, ptr %words, i64 1
  %None = call ptr @setting(i64 5)
  call void @refer(ptr %None)
  %built = call %Built @pair(ptr %None, ptr %after)
  ret %Built %built
}

define internal %Built @pair(ptr %object, ptr %words) alwaysinline {
  %one = insertvalue %Built undef, ptr %object, 0
  %both = insertvalue %Built %one, ptr %words, 1
  ret %Built %both
}

define internal %Built @build_scalar(ptr %words, ptr %state) {
  %position_place = getelementptr %Out, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %table = load ptr, ptr %state
  %place = getelementptr ptr, ptr %table, i64 %position
  %data = load ptr, ptr %place
  %dtype_place = getelementptr %OutOf, ptr %words, i64 0, i32 2
  %dtype = load ptr, ptr %dtype_place
  %value = call ptr @fnad.numpy.Scalar(ptr %data, ptr %dtype, ptr null)
  %after = getelementptr %OutOf, ptr %words, i64 1
  %built = call %Built @pair(ptr %value, ptr %after)
  ret %Built %built
}

; The array of a result that updates an argument.
define internal %Built @build_update(ptr %words, ptr %state) {
entry:
  %position_place = getelementptr %Out, ptr %words, i64 0, i32 1
  %position = load i64, ptr %position_place
  %table = load ptr, ptr %state
  %place = getelementptr ptr, ptr %table, i64 %position
  %data = load ptr, ptr %place
  %room_place = getelementptr %State, ptr %state, i64 0, i32 1
  %room = load ptr, ptr %room_place
  %donor_place = getelementptr ptr, ptr %room, i64 %position
  %donor = load ptr, ptr %donor_place
  %result_place = getelementptr %OutOf, ptr %words, i64 0, i32 2
  %result = load ptr, ptr %result_place
  %array = call ptr @new_array(ptr %result, ptr %data, ptr %donor)
  %failed = icmp eq ptr %array, null
  br i1 %failed, label %done, label %own
own:
  store ptr null, ptr %place
  br label %done
done:
  %after = getelementptr %OutOf, ptr %words, i64 1
  %built = call %Built @pair(ptr %array, ptr %after)
  ret %Built %built
}

; Build the items of a new container; gives it up if one fails.
define internal %Built @fill(ptr %container, ptr %items, i64 %count, ptr %words, ptr %state) alwaysinline {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %ok ]
  %at = phi ptr [ %words, %entry ], [ %after, %ok ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %done, label %item
item:
  %built = call %Built @build(ptr %at, ptr %state)
  %object = extractvalue %Built %built, 0
  %after = extractvalue %Built %built, 1
  %none = icmp eq ptr %object, null
  br i1 %none, label %drop, label %ok
ok:
  %place = getelementptr ptr, ptr %items, i64 %i
  store ptr %object, ptr %place
  %next = add i64 %i, 1
  br label %loop
drop:
  call void @Py_DecRef(ptr %container)
  br label %done
done:
  %result = phi ptr [ %container, %loop ], [ null, %drop ]
  %both = call %Built @pair(ptr %result, ptr %at)
  ret %Built %both
}

define internal %Built @build_tuple(ptr %words, ptr %state) {
entry:
  %type_place = getelementptr %Container, ptr %words, i64 0, i32 1
  %type = load ptr, ptr %type_place
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %children = getelementptr %Container, ptr %words, i64 1
  %tuple = call ptr @setting(i64 6)
  %plain = icmp eq ptr %type, %tuple
  br i1 %plain, label %unnamed, label %named
unnamed:
  %new_tuple = call ptr @PyTuple_New(i64 %count)
  br label %made
named:
  %new_named = call ptr @PyType_GenericAlloc(ptr %type, i64 %count)
  br label %made
made:
  %new = phi ptr [ %new_tuple, %unnamed ], [ %new_named, %named ]
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %items
items:
  %first = getelementptr %Tuple, ptr %new, i64 0, i32 3
  %filled = call %Built @fill(ptr %new, ptr %first, i64 %count, ptr %children, ptr %state)
  ret %Built %filled
none:
  ret %Built zeroinitializer
}

define internal %Built @build_list(ptr %words, ptr %state) {
  %count_place = getelementptr %Container, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %children = getelementptr %Container, ptr %words, i64 1
  %built = call %Built @list_of(i64 %count, ptr %children, ptr %state)
  ret %Built %built
}

define internal %Built @list_of(i64 %count, ptr %words, ptr %state) {
entry:
  %new = call ptr @PyList_New(i64 %count)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %items
items:
  %items_place = getelementptr %List, ptr %new, i64 0, i32 3
  %first = load ptr, ptr %items_place
  %filled = call %Built @fill(ptr %new, ptr %first, i64 %count, ptr %words, ptr %state)
  ret %Built %filled
none:
  ret %Built zeroinitializer
}

; A copy of the template, its values replaced where they stand. They are one object, of whose
; references the copy has taken one for each.
define internal %Built @build_dict(ptr %words, ptr %state) {
entry:
  %new = call ptr @copied_dict(ptr %words)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %items
items:
  %count_place = getelementptr %Mapping, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %value_place = getelementptr %Mapping, ptr %words, i64 0, i32 3
  %value = load ptr, ptr %value_place
  %children = getelementptr %Mapping, ptr %words, i64 1
  %table_place = getelementptr %Dict, ptr %new, i64 0, i32 4
  %table = load ptr, ptr %table_place
  br label %loop
loop:
  %i = phi i64 [ 0, %items ], [ %next, %set ]
  %at = phi ptr [ %children, %items ], [ %after, %set ]
  %end = icmp eq i64 %i, %count
  br i1 %end, label %filled, label %item
item: ; the offset of the value comes before its words
  %child = getelementptr i64, ptr %at, i64 1
  %built = call %Built @build(ptr %child, ptr %state)
  %object = extractvalue %Built %built, 0
  %after = extractvalue %Built %built, 1
  %nothing = icmp eq ptr %object, null
  br i1 %nothing, label %filled, label %set
set:
  %offset = load i64, ptr %at
  %place = getelementptr i8, ptr %table, i64 %offset
  store ptr %object, ptr %place
  %next = add i64 %i, 1
  br label %loop
filled:
  %references = load i64, ptr %value
  %rest = sub i64 %references, %i
  store i64 %rest, ptr %value
  br i1 %end, label %done, label %drop
drop:
  call void @Py_DecRef(ptr %new)
  br label %done
done:
  %result = phi ptr [ %new, %filled ], [ null, %drop ]
  %both = call %Built @pair(ptr %result, ptr %at)
  ret %Built %both
none:
  ret %Built zeroinitializer
}

; A copy of the template, as `PyDict_Copy` makes it without its checks: two thirds of the price. Where the
; tables of dicts are not known (`capi.copied_table`), and for dicts of containers, by `PyDict_Copy`.
define internal ptr @copied_dict(ptr %words) alwaysinline {
entry:
  %template_place = getelementptr %Mapping, ptr %words, i64 0, i32 1
  %template = load ptr, ptr %template_place
  %bytes_place = getelementptr %Mapping, ptr %words, i64 0, i32 4
  %bytes = load i64, ptr %bytes_place
  %unknown = icmp eq i64 %bytes, 0
  br i1 %unknown, label %copy, label %make
copy:
  %copied = call ptr @PyDict_Copy(ptr %template)
  ret ptr %copied
make:
  %new = call ptr @PyDict_New()
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %room
room:
  %table = call ptr @PyObject_Malloc(i64 %bytes)
  %no_room = icmp eq ptr %table, null
  br i1 %no_room, label %drop, label %fill
fill: ; the count of references to a table comes first, and is 1
  %its_table_place = getelementptr %Dict, ptr %template, i64 0, i32 4
  %its_table = load ptr, ptr %its_table_place
  call void @llvm.memcpy.p0.p0.i64(ptr %table, ptr %its_table, i64 %bytes, i1 false)
  %table_place = getelementptr %Dict, ptr %new, i64 0, i32 4
  %empty = load ptr, ptr %table_place
  %users = load i64, ptr %empty
  %users_left = sub i64 %users, 1
  store i64 %users_left, ptr %empty
  store ptr %table, ptr %table_place
  %count_place = getelementptr %Mapping, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %used_place = getelementptr %Dict, ptr %new, i64 0, i32 2
  store i64 %count, ptr %used_place
  %value_place = getelementptr %Mapping, ptr %words, i64 0, i32 3
  %value = load ptr, ptr %value_place
  %references = load i64, ptr %value
  %more_references = add i64 %references, %count
  store i64 %more_references, ptr %value
  %first_place = getelementptr %Mapping, ptr %words, i64 0, i32 5
  %first = load i64, ptr %first_place
  %step_place = getelementptr %Mapping, ptr %words, i64 0, i32 6
  %step = load i64, ptr %step_place
  br label %keys
keys:
  %i = phi i64 [ 0, %fill ], [ %next, %keys ]
  %at = phi i64 [ %first, %fill ], [ %beyond, %keys ]
  %key_place = getelementptr i8, ptr %its_table, i64 %at ; what was just written in larger pieces waits
  %key = load ptr, ptr %key_place
  call void @refer(ptr %key)
  %beyond = add i64 %at, %step
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %keys, label %done
done:
  ret ptr %new
drop:
  call void @Py_DecRef(ptr %new)
  %ignored = call ptr @PyErr_NoMemory()
  br label %none
none:
  ret ptr null
}

; An instance of a registered class, made by its own function from its static data and a list.
define internal %Built @build_opaque(ptr %words, ptr %state) {
entry:
  %arguments = alloca [2 x ptr]
  %count_place = getelementptr %Opaque, ptr %words, i64 0, i32 2
  %count = load i64, ptr %count_place
  %children = getelementptr %Opaque, ptr %words, i64 1
  %built = call %Built @list_of(i64 %count, ptr %children, ptr %state)
  %list = extractvalue %Built %built, 0
  %after = extractvalue %Built %built, 1
  %failed = icmp eq ptr %list, null
  br i1 %failed, label %done, label %make
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
  br label %done
done:
  %object = phi ptr [ null, %entry ], [ %made, %make ]
  %both = call %Built @pair(ptr %object, ptr %after)
  ret %Built %both
}
