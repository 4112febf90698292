"""What taking a snapshot and restoring one have in common: a little machine code, and what the kernel knows of a process.

A snapshot is a file: pages of memory, then copies of the files in /tmp, then a list of system calls that makes a process
look like the one that was snapshotted, then a description in JSON, then the lengths of the three as 64-bit numbers.

The machine code (x86-64) has two entries. The first, `long freeze(area)`, keeps the registers in `area` and waits for
ever. The second, at PLAY, makes the system calls of a list: records of eight 64-bit words, which are the number, six
arguments, and where to put the result (32 bits) if anywhere. A call that fails ends the process with status 97. The record
-1, AREA, VALUE ends the list: it takes the registers from AREA, so that `freeze` returns VALUE. It uses no stack, since the
stack is among what is replaced.

    freeze: mov [rdi],rbx; mov [rdi+8],rbp; mov [rdi+16],r12; mov [rdi+24],r13; mov [rdi+32],r14; mov [rdi+40],r15
            mov [rdi+48],rsp; stmxcsr [rdi+56]; fnstcw [rdi+60]; mov qword [rdi+64],1
         0: mov eax,34; syscall; jmp 0b
    play:   mov r12,rdi
         1: mov rax,[r12]; cmp rax,-1; je 4f
            mov rdi,[r12+8]; mov rsi,[r12+16]; mov rdx,[r12+24]; mov r10,[r12+32]; mov r8,[r12+40]; mov r9,[r12+48]
            syscall; cmp rax,-4096; ja 3f; mov rcx,[r12+56]; test rcx,rcx; jz 2f; mov [rcx],eax
         2: add r12,64; jmp 1b
         3: mov edi,97; mov eax,231; syscall
         4: mov rdi,[r12+8]; mov rax,[r12+16]; mov rbx,[rdi]; mov rbp,[rdi+8]; mov r12,[rdi+16]; mov r13,[rdi+24]
            mov r14,[rdi+32]; mov r15,[rdi+40]; mov rsp,[rdi+48]; ldmxcsr [rdi+56]; fldcw [rdi+60]; ret
"""

import ctypes
import os

CODE = bytes.fromhex(
    "48891f48896f084c8967104c896f184c8977204c897f28488967300fae5f38d97f3c48c7474001000000b8220000000f05ebf7"
    "66662e0f1f84000000000066904989fc498b04244883f8ff7446498b7c2408498b742410498b5424184d8b5424204d8b442428"
    "4d8b4c24300f05483d00f0ffff7712498b4c24384885c9740289014983c440ebbcbf61000000b8e70000000f05498b7c240849"
    "8b442410488b1f488b6f084c8b67104c8b6f184c8b77204c8b7f28488b67300fae5738d96f3cc3"
)
PLAY = 64

# Where the snapshot is mounted.
PLACE = "/var/lang/snapshot"
PAGE = 4096
# The end of what a process may map (x86-64 with four levels of page tables, which a program gets unless it asks for more).
END = 0x7FFFFFFFF000
WORD = (1 << 64) - 1

# From the kernel's headers: asm/unistd_64.h, asm/mman.h, linux/prctl.h, asm/prctl.h, linux/rseq.h.
MMAP, MPROTECT, MUNMAP, RT_SIGACTION, RT_SIGPROCMASK, PREAD, MREMAP, MADVISE, DUP2 = 9, 10, 11, 13, 14, 17, 25, 28, 33
SIGALTSTACK, PRCTL, ARCH_PRCTL, SET_TID_ADDRESS, SET_ROBUST_LIST, GET_ROBUST_LIST = 131, 157, 158, 218, 273, 274
RSEQ, CLOSE_RANGE = 334, 436
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_FIXED_NOREPLACE = 1, 2, 16, 32, 256, 0x100000
PR_SET_MM, PR_SET_MM_MAP, PR_GET_TID_ADDRESS, ARCH_SET_FS, ARCH_GET_FS = 35, 14, 40, 0x1002, 0x1003
RSEQ_BYTES, RSEQ_SIGNATURE, RSEQ_UNREGISTER = 32, 0x53053053, 1
READ, WRITE, EXECUTE = 1, 2, 4

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.syscall.restype = ctypes.c_long
LIBC.syscall.argtypes = [ctypes.c_long] * 7


class Unfit(Exception):
    """Why there is no snapshot, or why it cannot be restored: words for the function's owner."""


def call(number, *arguments):
    ctypes.set_errno(0)
    result = LIBC.syscall(number, *arguments, *[0] * (6 - len(arguments)))
    if result == -1 and ctypes.get_errno():
        error = ctypes.get_errno()
        raise OSError(error, "system call %d: %s" % (number, os.strerror(error)))
    return result


def read(path):
    with open(path, "rb") as file:
        return file.read()


def same_machine():
    """What must not have changed between a snapshot and its restore: clocks and the kernel's own pages follow it."""
    return read("/proc/sys/kernel/random/boot_id").decode().strip()


def mappings(pid):
    """A process's memory: start, end, permissions, offset, path."""
    found = []
    for line in os.fsdecode(read("/proc/%s/maps" % pid)).split("\n")[:-1]:
        span, permissions, offset, _, _, *path = line.split(None, 5)
        start, _, end = span.partition("-")
        found.append((int(start, 16), int(end, 16), permissions, int(offset, 16), path[0] if path else ""))
    return found


def is_kernels(path):
    """Whether a mapping is the kernel's own, which is moved and not copied."""
    return path == "[vdso]" or path.startswith("[vvar")


def thread_pointer():
    value = ctypes.c_ulong()
    call(ARCH_PRCTL, ARCH_GET_FS, ctypes.addressof(value))
    return value.value


def restartable_sequences():
    """Where the C library has the kernel write which CPU the thread runs on; 0 where it has not."""
    try:
        offset = ctypes.c_ssize_t.in_dll(LIBC, "__rseq_offset").value
        size = ctypes.c_uint.in_dll(LIBC, "__rseq_size").value
    except ValueError:
        return 0
    return thread_pointer() + offset if size else 0


def identity(status):
    """Tells a file that was mapped from one that took its place."""
    return [status.st_ino, status.st_size, status.st_mtime_ns]
