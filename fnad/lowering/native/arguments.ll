; Reading arguments as their words say.
;
; Functions that read arguments take the words that describe them and return where the next words
; are, or null if the argument is not what they describe. Those of leaves are in `leaves.ll`.

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
    i64 9, label %permuted
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
permuted:
  %after_permuted = call ptr @read_permuted(ptr %object, ptr %words, ptr %state)
  ret ptr %after_permuted
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
