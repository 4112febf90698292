"""The kernel's own, and calls by other numbers."""

import ctypes
import mmap
import os

from tries import attempt, by_number, call, plain, X86

plain("bpf", 0, 0, 0)
plain("bpf program", 5, 0, 0)
plain("keyctl", 0, -3, 1)
plain("keyctl session", 1, 0)
plain("add_key", b"user", b"x", b"y", 1, -2)
plain("request_key", b"user", b"x", 0, -2)
plain("perf_event_open", 0, 0, -1, -1, 0)
plain("userfaultfd", 1)
plain("io_uring_setup", 8, 0)
plain("io_uring_enter", 0, 0, 0, 0, 0, 0)
plain("io_uring_register", 0, 0, 0, 0)
plain("io_setup", 8, ctypes.byref(ctypes.c_long(0)))
plain("syslog", 3, 0, 0)
plain("fanotify_init", 0, 0)
plain("open_by_handle_at", -100, 0, 0)
plain("name_to_handle_at", -100, b"/", 0, 0, 0)
plain("quotactl", 0, 0, 0, 0)
plain("quotactl_fd", 0, 0, 0, 0)
plain("reboot", 0xFEE1DEAD, 672274793, 0, 0)
plain("swapon", b"/tmp/x", 0)
plain("swapoff", b"/tmp/x")
plain("kexec_load", 0, 0, 0, 0)
plain("kexec_file_load", 0, 0, 0, 0, 0)
plain("init_module", 0, 0, 0)
plain("finit_module", 0, 0, 0)
plain("delete_module", b"x", 0)
plain("settimeofday", 0, 0)
plain("clock_settime", 0, 0)
plain("clock_adjtime", 0, 0)
plain("adjtimex", 0)
plain("acct", 0)
plain("mbind", 0, 0, 0, 0, 0, 0)
plain("set_mempolicy", 0, 0, 0)
plain("migrate_pages", 0, 0, 0, 0)
plain("move_pages", 0, 0, 0, 0, 0, 0)
plain("lookup_dcookie", 0, 0, 0)
plain("nfsservctl", 0, 0, 0)
plain("vhangup")
plain("lsm_set_self_attr", 100, 0, 0, 0)
plain("personality", 0x0040000)
plain("modify_ldt", 0, 0, 0)
plain("iopl", 3)
plain("ioperm", 0x70, 1, 1)
plain("uselib", b"/tmp/x")
plain("ustat", 0, 0)
plain("sysfs", 3, 0, 0)
plain("_sysctl", 0)


@attempt("kernel modules by file systems and formats")
def _(host):
    return [name for name in ["/sbin/modprobe", "/sbin/insmod"] if os.path.exists(name) and os.system(f"{name} dummy >/dev/null 2>&1") == 0]


if X86:

    def machine_code(code):
        area = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()

    @attempt("i386 call by int 0x80")
    def _(host):
        # eax = 20 (getpid of i386); int 0x80; ret
        return machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3") > 0

    @attempt("i386 mount by int 0x80")
    def _(host):
        # eax = 21 (mount of i386) with whatever is in the registers
        return machine_code(b"\xb8\x15\x00\x00\x00\xcd\x80\xc3") >= 0

    for name, number in [("getpid", 39), ("ptrace", 521), ("mount", 165), ("execve", 520)]:
        attempt(f"x32 {name}")(lambda host, number=number: by_number(0x40000000 + number, 0, 0, 0, 0, 0) or True)
