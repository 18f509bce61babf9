"""The thread pool of compiled programs, written in LLVM IR over POSIX threads.

``void fnad.parallel(ptr task, ptr context, i64 extent, i64 chunk, i64 slots)`` runs
``task(context, begin, end, slot)`` for all of ``range(extent)``, ``chunk`` tasks at a time, on the
caller and up to ``min(num_threads, slots) - 1`` workers. ``slot`` tells threads apart that run at
the same time: it is less than ``slots``, and 0 in the caller. The caller does all of it itself if
there is only one chunk, or if the pool is at work for another caller.

* **Who runs what.** The chunks are divided into one range for each thread, so that programs whose
  kernels walk over the same arrays find them in the same core's cache. Whoever is done with his
  range helps with the others': a thread that the system has suspended holds up nothing but the one
  chunk that it is at.
* **A range** is one 64-bit word: the job's number above, the count of unclaimed chunks below. A
  thread reads the word, then the job, and claims the next chunk by compare-and-swap. The job is
  written only while all words have count 0, so a swap that succeeds proves that what was read
  belongs to it.
* **Idle workers** look for a new job for some tens of microseconds, then sleep on a condition
  variable. Sleepers are counted before they look a last time, and the caller publishes a job
  before it reads the count: one of the two sees the other.
* **Fork.** The child has no workers; ``fnad.threads.reset`` forgets them and it starts its own.

Workers are started by the first job and end only when ``num_threads`` falls; they block all
signals, hold no Python state, and their code is never unloaded.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from typing import Any

from fnad import config
from fnad.lowering.llvm import table
from fnad.lowering.llvm.once import once
from fnad.lowering.llvm.target import VECTOR_CODE, CompiledModule, compile_module

# More threads than this never share one job.
_MOST_THREADS = 256

# Looks for a new job before a worker sleeps, each with a pause of 15 to 50 ns.
_LOOKS = 1500

# Looks at the count of chunks that others still run before the caller offers its CPU to them.
_LOOKS_BEFORE_YIELD = 2000

# What tells the CPU that a loop waits, as declaration and call.
_X86_PAUSE = ("void @llvm.x86.sse2.pause()", "void @llvm.x86.sse2.pause()")
_ARM_PAUSE = ("void @llvm.aarch64.isb(i32)", "void @llvm.aarch64.isb(i32 15)")
_PAUSES = {"x86_64": _X86_PAUSE, "amd64": _X86_PAUSE, "aarch64": _ARM_PAUSE, "arm64": _ARM_PAUSE}


@once
def runtime() -> CompiledModule:
    """The module that defines ``fnad.parallel`` and ``fnad.run``, which lives on to the end."""
    module = compile_module(_text() + table.IR, VECTOR_CODE)
    reset: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(module.address("fnad.threads.reset"))
    start_anew = functools.partial(reset, config.num_threads_address())
    start_anew()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=start_anew)
    return module


def _text() -> str:
    declaration, call = _PAUSES.get(platform.machine().lower(), ("", ""))
    names = {
        "MOST": _MOST_THREADS,
        "LOOKS_BEFORE_YIELD": _LOOKS_BEFORE_YIELD,
        "LOOKS": _LOOKS,
        "DECLARE_PAUSE": f"declare {declaration}" if declaration else "",
        "PAUSE": f"call {call}" if call else "",
        "SIG_SETMASK": 3 if sys.platform == "darwin" else 2,
    }
    text = _IR
    for name, value in names.items():
        text = text.replace(f"${name}", str(value))
    return text


# Each word that several threads write has a cache line of its own.
_IR = """
%job = type { ptr, ptr, i64, i64, i64, i64 }  ; task, context, extent, chunk, chunks, threads

@setting = internal global ptr null            ; where num_threads is
@busy = internal global i32 0, align 64
@done = internal global i64 0, align 64        ; chunks of the job that are finished
@number = internal global i64 0, align 64      ; of the last job published
@job = internal global %job zeroinitializer, align 64
@sleepers = internal global i64 0, align 64
@started = internal global i64 0, align 64     ; workers, changed under the mutex
@refused = internal global i1 false            ; the system gives no more threads
@mutex = internal global [128 x i8] zeroinitializer, align 64
@wake = internal global [128 x i8] zeroinitializer, align 64
@ranges = internal global [$MOST x [8 x i64]] zeroinitializer, align 64

declare i32 @pthread_create(ptr, ptr, ptr, ptr) nounwind
declare i32 @pthread_detach(ptr) nounwind
declare i32 @pthread_mutex_init(ptr, ptr) nounwind
declare i32 @pthread_mutex_lock(ptr) nounwind
declare i32 @pthread_mutex_unlock(ptr) nounwind
declare i32 @pthread_cond_init(ptr, ptr) nounwind
declare i32 @pthread_cond_wait(ptr, ptr) nounwind
declare i32 @pthread_cond_signal(ptr) nounwind
declare i32 @pthread_cond_broadcast(ptr) nounwind
declare i32 @pthread_sigmask(i32, ptr, ptr) nounwind
declare i32 @sigfillset(ptr) nounwind
declare i32 @sched_yield() nounwind
declare i64 @llvm.umin.i64(i64, i64)
$DECLARE_PAUSE

define void @fnad.threads.reset(ptr %setting) nounwind {
entry:
  store ptr %setting, ptr @setting
  %m = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %c = call i32 @pthread_cond_init(ptr @wake, ptr null)
  store i64 0, ptr @sleepers
  store i64 0, ptr @started
  store i1 false, ptr @refused
  br label %clear
clear:
  %i = phi i64 [ 0, %entry ], [ %n, %clear ]
  %range = getelementptr inbounds [8 x i64], ptr @ranges, i64 %i
  store i64 0, ptr %range
  %n = add i64 %i, 1
  %last = icmp eq i64 %n, $MOST
  br i1 %last, label %free, label %clear
free:
  store i32 0, ptr @busy
  ret void
}

define void @fnad.parallel(ptr %task, ptr %context, i64 %extent, i64 %chunk, i64 %slots) nounwind {
entry:
  %more = add i64 %extent, %chunk
  %up = sub i64 %more, 1
  %chunks = udiv i64 %up, %chunk
  %setting = load ptr, ptr @setting
  %wanted = load atomic i64, ptr %setting monotonic, align 8
  %t1 = call i64 @llvm.umin.i64(i64 %wanted, i64 %slots)
  %t2 = call i64 @llvm.umin.i64(i64 %t1, i64 %chunks)
  %threads = call i64 @llvm.umin.i64(i64 %t2, i64 $MOST)
  %several = icmp ugt i64 %threads, 1
  %countable = icmp ult i64 %chunks, 4294967296
  %worth = and i1 %several, %countable
  br i1 %worth, label %acquire, label %serial
acquire:
  %swap = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %swap, 1
  br i1 %mine, label %staff, label %serial
serial:
  call void %task(ptr %context, i64 0, i64 %extent, i64 0)
  ret void
staff:
  %started = load atomic i64, ptr @started monotonic, align 8
  %helpers = sub i64 %threads, 1
  %missing = icmp ult i64 %started, %helpers
  %refused = load i1, ptr @refused
  %given = xor i1 %refused, true
  %grow = and i1 %missing, %given
  br i1 %grow, label %start, label %publish
start:
  call void @start(i64 %helpers)
  br label %publish
publish:
  store atomic ptr %task, ptr @job monotonic, align 8
  %job.context = getelementptr inbounds %job, ptr @job, i64 0, i32 1
  store atomic ptr %context, ptr %job.context monotonic, align 8
  %job.extent = getelementptr inbounds %job, ptr @job, i64 0, i32 2
  store atomic i64 %extent, ptr %job.extent monotonic, align 8
  %job.chunk = getelementptr inbounds %job, ptr @job, i64 0, i32 3
  store atomic i64 %chunk, ptr %job.chunk monotonic, align 8
  %job.chunks = getelementptr inbounds %job, ptr @job, i64 0, i32 4
  store atomic i64 %chunks, ptr %job.chunks monotonic, align 8
  %job.threads = getelementptr inbounds %job, ptr @job, i64 0, i32 5
  store atomic i64 %threads, ptr %job.threads monotonic, align 8
  store atomic i64 0, ptr @done monotonic, align 8
  %old = load atomic i64, ptr @number monotonic, align 8
  %number = add i64 %old, 1
  %above = shl i64 %number, 32
  br label %divide
divide:
  %i = phi i64 [ 0, %publish ], [ %i1, %divide ]
  %first = phi i64 [ 0, %publish ], [ %stop, %divide ]
  %i1 = add i64 %i, 1
  %scaled = mul i64 %i1, %chunks
  %stop = udiv i64 %scaled, %threads
  %count = sub i64 %stop, %first
  %word = or i64 %above, %count
  %range = getelementptr inbounds [8 x i64], ptr @ranges, i64 %i
  store atomic i64 %word, ptr %range release, align 64
  %divided = icmp eq i64 %i1, %threads
  br i1 %divided, label %announce, label %divide
announce:
  store atomic i64 %number, ptr @number seq_cst, align 64
  %asleep = load atomic i64, ptr @sleepers seq_cst, align 64
  %any = icmp ne i64 %asleep, 0
  br i1 %any, label %rouse, label %work
rouse:
  call void @rouse(i64 %helpers)
  br label %work
work:
  call void @work(i64 0)
  br label %wait
wait:
  %looks = phi i64 [ 0, %work ], [ %looks1, %again ]
  %done = load atomic i64, ptr @done acquire, align 64
  %finished = icmp eq i64 %done, %chunks
  br i1 %finished, label %end, label %pause
pause:
  $PAUSE
  %looks1 = add i64 %looks, 1
  %long = icmp ugt i64 %looks1, $LOOKS_BEFORE_YIELD
  br i1 %long, label %yield, label %again
yield:
  %y = call i32 @sched_yield()
  br label %again
again:
  br label %wait
end:
  store atomic i32 0, ptr @busy release, align 64
  ret void
}

; Claim chunks and run them until none is left, the thread's own range first.
define internal void @work(i64 %slot) noinline nounwind {
entry:
  %job.context = getelementptr inbounds %job, ptr @job, i64 0, i32 1
  %job.extent = getelementptr inbounds %job, ptr @job, i64 0, i32 2
  %job.chunk = getelementptr inbounds %job, ptr @job, i64 0, i32 3
  %job.chunks = getelementptr inbounds %job, ptr @job, i64 0, i32 4
  %job.threads = getelementptr inbounds %job, ptr @job, i64 0, i32 5
  %all = load atomic i64, ptr %job.threads monotonic, align 8
  %takes.part = icmp ult i64 %slot, %all
  br i1 %takes.part, label %look, label %end
look:
  %at = phi i64 [ %slot, %entry ], [ %at, %run ], [ %at, %swap.in ], [ %next.at, %turn ]
  %empty = phi i64 [ 0, %entry ], [ 0, %run ], [ %empty, %swap.in ], [ %empty1, %turn ]
  %range = getelementptr inbounds [8 x i64], ptr @ranges, i64 %at
  %word = load atomic i64, ptr %range acquire, align 64
  %count = and i64 %word, 4294967295
  %none = icmp eq i64 %count, 0
  br i1 %none, label %turn, label %claim
turn:
  %empty1 = add i64 %empty, 1
  %at1 = add i64 %at, 1
  %over = icmp uge i64 %at1, %all
  %next.at = select i1 %over, i64 0, i64 %at1
  %exhausted = icmp uge i64 %empty1, %all
  br i1 %exhausted, label %end, label %look
claim:
  %task = load atomic ptr, ptr @job monotonic, align 8
  %context = load atomic ptr, ptr %job.context monotonic, align 8
  %extent = load atomic i64, ptr %job.extent monotonic, align 8
  %chunk = load atomic i64, ptr %job.chunk monotonic, align 8
  %chunks = load atomic i64, ptr %job.chunks monotonic, align 8
  %threads = load atomic i64, ptr %job.threads monotonic, align 8
  %admitted = icmp ult i64 %slot, %threads
  br i1 %admitted, label %swap.in, label %end
swap.in:
  %rest = sub i64 %word, 1
  %swap = cmpxchg ptr %range, i64 %word, i64 %rest acq_rel monotonic
  %won = extractvalue { i64, i1 } %swap, 1
  br i1 %won, label %run, label %look
run:
  %at1r = add i64 %at, 1
  %scaled = mul i64 %at1r, %chunks
  %stop = udiv i64 %scaled, %threads
  %k = sub i64 %stop, %count
  %begin = mul i64 %k, %chunk
  %end.chunk = add i64 %begin, %chunk
  %end.task = call i64 @llvm.umin.i64(i64 %end.chunk, i64 %extent)
  call void %task(ptr %context, i64 %begin, i64 %end.task, i64 %slot)
  %before = atomicrmw add ptr @done, i64 1 release
  br label %look
end:
  ret void
}

; Wake as many sleepers as can help.
define internal void @rouse(i64 %helpers) noinline nounwind {
entry:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %asleep = load atomic i64, ptr @sleepers monotonic, align 8
  %all = icmp uge i64 %helpers, %asleep
  br i1 %all, label %broadcast, label %signal
broadcast:
  %b = call i32 @pthread_cond_broadcast(ptr @wake)
  br label %unlock
signal:
  %i = phi i64 [ 0, %entry ], [ %i1, %signal ]
  %s = call i32 @pthread_cond_signal(ptr @wake)
  %i1 = add i64 %i, 1
  %last = icmp eq i64 %i1, %helpers
  br i1 %last, label %unlock, label %signal
unlock:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret void
}

; Start workers until there are as many as asked for.
define internal void @start(i64 %helpers) noinline nounwind {
entry:
  %thread = alloca i64
  %all = alloca [128 x i8], align 8
  %mask = alloca [128 x i8], align 8
  %f = call i32 @sigfillset(ptr %all)
  %k = call i32 @pthread_sigmask(i32 $SIG_SETMASK, ptr %all, ptr %mask)
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %check
check:
  %count = load atomic i64, ptr @started monotonic, align 8
  %enough = icmp uge i64 %count, %helpers
  br i1 %enough, label %unlock, label %create
create:
  %slot = add i64 %count, 1
  %argument = inttoptr i64 %slot to ptr
  %error = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %argument)
  %ok = icmp eq i32 %error, 0
  br i1 %ok, label %detach, label %refused
detach:
  %id = load ptr, ptr %thread
  %d = call i32 @pthread_detach(ptr %id)
  store atomic i64 %slot, ptr @started monotonic, align 8
  br label %check
refused:
  store i1 true, ptr @refused
  br label %unlock
unlock:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  %r = call i32 @pthread_sigmask(i32 $SIG_SETMASK, ptr %mask, ptr null)
  ret void
}

; The life of a worker: look for a job, sleep, quit if there are too many.
define internal ptr @worker(ptr %argument) nounwind {
entry:
  %slot = ptrtoint ptr %argument to i64
  br label %idle
idle:
  %seen = phi i64 [ 0, %entry ], [ %new, %go ]
  br label %spin
spin:
  %i = phi i64 [ 0, %idle ], [ %i1, %pause ]
  %n = load atomic i64, ptr @number acquire, align 64
  %fresh = icmp ne i64 %n, %seen
  br i1 %fresh, label %go, label %pause
pause:
  $PAUSE
  %i1 = add i64 %i, 1
  %tired = icmp uge i64 %i1, $LOOKS
  br i1 %tired, label %park, label %spin
park:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  %s1 = atomicrmw add ptr @sleepers, i64 1 seq_cst
  br label %check
check:
  %setting = load ptr, ptr @setting
  %wanted = load atomic i64, ptr %setting monotonic, align 8
  %surplus = icmp uge i64 %slot, %wanted
  %started = load atomic i64, ptr @started monotonic, align 8
  %highest = icmp eq i64 %slot, %started
  %leave = and i1 %surplus, %highest
  br i1 %leave, label %quit, label %look
look:
  %n2 = load atomic i64, ptr @number seq_cst, align 64
  %fresh2 = icmp ne i64 %n2, %seen
  br i1 %fresh2, label %awake, label %sleep
sleep:
  %w = call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  br label %check
awake:
  %s2 = atomicrmw sub ptr @sleepers, i64 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %go
go:
  %new = phi i64 [ %n, %spin ], [ %n2, %awake ]
  call void @work(i64 %slot)
  br label %idle
quit:
  %s3 = atomicrmw sub ptr @sleepers, i64 1 seq_cst
  %fewer = sub i64 %started, 1
  store atomic i64 %fewer, ptr @started monotonic, align 8
  %b = call i32 @pthread_cond_broadcast(ptr @wake)
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  ret ptr null
}
"""
