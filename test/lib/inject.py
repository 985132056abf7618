"""Makes system calls inside a process that runs: attaches as a debugger (root), sets its registers,
lets it step over its own `syscall` instruction and reads what came of it. So a role's walls are tried
where they stand, not where a test put them up.

    with Inside(pid) as role:
        fd = role.call("openat", AT_FDCWD, b"/etc/passwd", os.O_RDONLY)

A call gives its result (negative: -errno), or REFUSED if the filter stopped it: then the signal that
would end the process is swallowed, and the next call can be tried. Only for x86-64."""

import ctypes
import os
import re
import signal
import struct
import time
from pathlib import Path

REFUSED = "refused"
DEAD = "dead"
AT_FDCWD = -100

PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_GETREGS, PTRACE_SETREGS = 7, 9, 12, 13
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
SYSCALL, INT_80 = b"\x0f\x05", b"\xcd\x80"
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _numbers():
    """The kernel's names of system calls, from its header."""
    for header in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"):
        if Path(header).exists():
            return {name: int(number) for name, number in
                    re.findall(r"#define __NR_(\w+) (\d+)", Path(header).read_text())}
    return {}


NUMBERS = _numbers()


def _ptrace(request, pid, address=None, data=None):
    if _libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}")


class Inside:
    def __init__(self, pid):
        self.pid = pid
        self.alive = True

    def __enter__(self):
        _ptrace(PTRACE_SEIZE, self.pid)
        _ptrace(PTRACE_INTERRUPT, self.pid)
        self._wait()
        self.memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)
        self.before = self._registers()
        self.gadgets = {}
        # Below all that its own stack holds.
        self.scratch = (self.before["rsp"] - 6000) & ~15
        self.kept = os.pread(self.memory, 4096, self.scratch)
        return self

    def run_into_wall(self, name, *arguments):
        """Makes a call that the filter refuses, and lets the process go with what comes of it."""
        self._prepare(NUMBERS[name], arguments, SYSCALL)
        _ptrace(PTRACE_CONT, self.pid)
        assert self._wait() == signal.SIGSYS, name
        _ptrace(PTRACE_DETACH, self.pid, None, signal.SIGSYS)
        self.alive = False

    def __exit__(self, *_):
        if self.alive:
            self.call("getpid")  # takes in what is still to be told of a step
            os.pwrite(self.memory, self.kept, self.scratch)
            self._set(self.before)
            _ptrace(PTRACE_DETACH, self.pid)
        os.close(self.memory)

    def _wait(self):
        """The signal it stopped for, or None if it has ended."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG | 0x40000000)  # __WALL
            if pid == 0:
                time.sleep(0.0002)
            elif os.WIFSTOPPED(status):
                return os.WSTOPSIG(status)
            else:
                self.alive = False
                return None
        raise AssertionError(f"process {self.pid} hangs in a call that was made for it")

    def _registers(self):
        raw = ctypes.create_string_buffer(8 * len(NAMES))
        _ptrace(PTRACE_GETREGS, self.pid, None, ctypes.addressof(raw))
        return dict(zip(NAMES, struct.unpack(f"{len(NAMES)}Q", raw.raw)))

    def _set(self, registers):
        raw = ctypes.create_string_buffer(
            struct.pack(f"{len(NAMES)}Q", *(registers[name] & (1 << 64) - 1 for name in NAMES)))
        _ptrace(PTRACE_SETREGS, self.pid, None, ctypes.addressof(raw))

    def _gadget(self, code):
        """Where these bytes stand in its program or libraries."""
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            area, rights, *_ = line.split()
            if code in self.gadgets or "x" not in rights or "[" in line:
                continue
            start, end = (int(part, 16) for part in area.split("-"))
            at = os.pread(self.memory, end - start, start).find(code)
            if at >= 0:
                self.gadgets[code] = start + at
        return self.gadgets[code]

    def _place(self, arguments):
        """Bytes go into its memory; their address is the argument."""
        at, placed = self.scratch, []
        for one in arguments:
            if isinstance(one, str):
                one = one.encode()
            if isinstance(one, bytes):
                os.pwrite(self.memory, one + b"\0", at)
                placed.append(at)
                at += (len(one) + 16) & ~15
                assert at < self.scratch + 4096
            else:
                placed.append(int(one))
        return placed

    def _prepare(self, number, arguments, code):
        registers = dict(self.before, rax=number, orig_rax=-1, rip=self._gadget(code))
        registers["rsp"] = self.scratch - 256
        order = ARGUMENTS if code == SYSCALL else ("rbx", "rcx", "rdx", "rsi", "rdi", "rbp")
        registers.update(zip(order, self._place(arguments)))
        self._set(registers)
        return registers

    def call(self, name, *arguments, code=SYSCALL):
        """name: as in the kernel's header, or a number. Bytes and texts are given by address."""
        registers = self._prepare(name if isinstance(name, int) else NUMBERS[name], arguments, code)
        while True:
            _ptrace(PTRACE_SINGLESTEP, self.pid)
            stopped = self._wait()
            if stopped is None:
                return DEAD
            if stopped == signal.SIGSYS:
                return REFUSED
            assert stopped == signal.SIGTRAP, (name, stopped)
            after = self._registers()
            if after["rip"] != registers["rip"]:
                break  # else the step before, into a signal, is only told now
        return after["rax"] - (1 << 64) if after["rax"] >> 63 else after["rax"]

    def read(self, n, offset=0):
        """What a call left behind in the memory of its first argument that was bytes."""
        return os.pread(self.memory, n, self.scratch + offset)
