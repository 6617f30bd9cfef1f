#!/usr/bin/env python3
"""Makes system calls in a thread of another process, as code that an intruder put there would; x86-64, as root.

intruder.py THREAD CALL...

THREAD waits in a system call now. A CALL is NUMBER,ARGUMENT...; an argument is a number or a text, which is put into the
thread's stack. Prints what each gave, a line each: a number, or the name of the errno. The thread then goes on.
"""
import ctypes
import errno
import os
import signal
import sys

SEIZE, INTERRUPT, STEP, DETACH, GET, SET = 0x4206, 0x4207, 9, 17, 12, 13  # PTRACE_...
ALL_THREADS = 0x40000000  # __WALL
SYSCALL = b'\x0f\x05'
WORDS = ('r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es '
         'fs gs').split()
MOST_STEPS = 100_000  # of an instruction each: the call, and a signal's handler


class Registers(ctypes.Structure):
    _fields_ = [(word, ctypes.c_uint64) for word in WORDS]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Thread:
    def __init__(self, thread):
        self.thread = thread
        self.ptrace(SEIZE)
        self.ptrace(INTERRUPT)
        self.wait()
        self.memory = os.open(f'/proc/{thread}/mem', os.O_RDWR)
        self.before = self.get()
        if os.pread(self.memory, 2, self.before.rip - 2) != SYSCALL:
            sys.exit('the thread is not in a system call')

    def ptrace(self, request, address=None, data=None):
        if libc.ptrace(request, self.thread, address, data) < 0:
            sys.exit(f'ptrace {request}: {os.strerror(ctypes.get_errno())}')

    def wait(self):
        _, status = os.waitpid(self.thread, ALL_THREADS)
        if not os.WIFSTOPPED(status):
            sys.exit(f'the thread ended: {status}')
        return os.WSTOPSIG(status)

    def get(self):
        registers = Registers()
        self.ptrace(GET, None, ctypes.addressof(registers))
        return registers

    def set(self, registers):
        self.ptrace(SET, None, ctypes.addressof(registers))

    def call(self, number, *arguments):
        registers = Registers.from_buffer_copy(self.before)
        at = registers.rsp - 65536
        values = []
        for argument in arguments:
            if isinstance(argument, str):
                text = argument.encode() + b'\0'
                os.pwrite(self.memory, text, at)
                argument, at = at, at + len(text)
            values.append(argument)
        for word, value in zip(('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'), values + [0] * 6):
            setattr(registers, word, value & (1 << 64) - 1)
        registers.rax, registers.orig_rax, registers.rip = number, (1 << 64) - 1, self.before.rip - 2
        registers.rsp -= 131072  # a handler's frames leave the texts and the thread's own alone
        self.set(registers)
        given = 0
        for _ in range(MOST_STEPS):
            self.ptrace(STEP, None, given)
            stopped = self.wait()
            given = stopped if stopped not in (signal.SIGTRAP, signal.SIGSTOP) else 0
            now = self.get()
            if not given and now.rip == self.before.rip and now.rsp == registers.rsp:
                result = ctypes.c_int64(now.rax).value
                return errno.errorcode.get(-result, str(result)) if -4096 < result < 0 else str(result)
        sys.exit(f'call {number} does not come back')

    def leave(self):
        self.set(self.before)
        self.ptrace(DETACH)


def main(thread, *calls):
    caught = Thread(int(thread))
    for call in calls:
        number, *arguments = call.split(',')
        values = [int(word, 0) if word[:1].isdigit() or word[:1] == '-' else word for word in arguments]
        print(caught.call(int(number), *values))
    caught.leave()


if __name__ == '__main__':
    main(*sys.argv[1:])
