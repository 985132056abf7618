"""Runs a program as on an older kernel:  oldkernel.py WHAT PROGRAM ARGUMENTS

WHAT is a list of words with commas: landlock=N (its ABI, 0: none), no-seccomp, no-mdwe. A filter that
all children inherit hands Landlock's and prctl's calls to a watcher outside, which answers as that
kernel would: the version it has, EINVAL or E2BIG for what it does not know, or "go on". Needs root."""

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import sys

PR_GET_SECCOMP, PR_SET_SECCOMP, PR_SET_MDWE = 21, 22, 65
PRCTL, SECCOMP, LANDLOCK_CREATE, LANDLOCK_ADD = 157, 317, 444, 445
RULE_NET_PORT = 2
# Rights that each ABI knew of: files, network, scopes; and the size of the struct.
FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
ABI_NET, ABI_SCOPE = 4, 6
NEW_LISTENER, SET_MODE_FILTER = 8, 1
RECV, SEND, CONTINUE = 0xc0502100, 0xc0182101, 1
ALLOW, NOTIFY = 0x7fff0000, 0x7fc00000

libc = ctypes.CDLL(None, use_errno=True)


def instruction(code, yes, no, k):
    return struct.pack("HBBI", code, yes, no, k)


def put_up_filter(calls):
    """The descriptor on which these calls are told."""
    program = [instruction(0x20, 0, 0, 0)]  # the call's number
    for at, call in enumerate(calls):
        program.append(instruction(0x15, len(calls) - at, 0, call))  # equal: to the last line
    program += [instruction(0x06, 0, 0, ALLOW), instruction(0x06, 0, 0, NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(program))
    what = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    fd = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, what)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


class OldKernel:
    def __init__(self, words):
        self.words = dict(word.partition("=")[::2] for word in words.split(","))
        self.abi = int(self.words["landlock"]) if "landlock" in self.words else None

    def calls(self):
        found = []
        if self.abi is not None:
            found += [LANDLOCK_CREATE, LANDLOCK_ADD]
        if "no-seccomp" in self.words:
            found += [SECCOMP]
        if {"no-seccomp", "no-mdwe"} & self.words.keys():
            found += [PRCTL]
        return found

    def ruleset(self, pid, address, size, flags):
        if self.abi == 0:
            return -errno.ENOSYS
        if flags == 1:
            return self.abi
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            mem.seek(address)
            files, net, scope = struct.unpack("QQQ", mem.read(min(size, 24)).ljust(24, b"\0"))
        known = 24 if self.abi >= ABI_SCOPE else 16 if self.abi >= ABI_NET else 8
        if (known < 24 and scope) or (known < 16 and net):
            return -errno.E2BIG
        return -errno.EINVAL if files >= FILES[min(self.abi, 5)] else None

    def answer(self, pid, call, args):
        """The call's result, or None to let the real kernel have it."""
        if call == LANDLOCK_CREATE:
            return self.ruleset(pid, *args[:3])
        if call == LANDLOCK_ADD:
            return -errno.EINVAL if self.abi < ABI_NET and args[1] == RULE_NET_PORT else None
        if call == SECCOMP:
            return -errno.ENOSYS
        if "no-seccomp" in self.words and args[0] in (PR_GET_SECCOMP, PR_SET_SECCOMP):
            return -errno.EINVAL
        return -errno.EINVAL if "no-mdwe" in self.words and args[0] == PR_SET_MDWE else None

    def watch(self, fd):
        while True:
            told = bytearray(80)
            try:
                fcntl.ioctl(fd, RECV, told)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.ENOENT):
                    # Nobody is left behind the filter, or the caller was killed meanwhile.
                    if not self.anyone(fd):
                        return
                    continue
                return
            ident, pid, _, call, _, _, *args = struct.unpack("QIIiIQ6Q", told)
            result = self.answer(pid, call, args)
            error = result if result is not None and result < 0 else 0
            said = struct.pack("QqiI", ident, max(result or 0, 0), error, CONTINUE if result is None else 0)
            try:
                fcntl.ioctl(fd, SEND, bytearray(said))
            except OSError:
                pass

    @staticmethod
    def anyone(fd):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))


def main():
    kernel = OldKernel(sys.argv[1])
    ours, watchers = socket.socketpair()
    if os.fork() == 0:
        if os.fork():
            os._exit(0)  # the watcher is no child of the program
        os.setsid()
        for fd in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)
        ours.close()
        _, (fd,), *_ = socket.recv_fds(watchers, 1, 1)
        kernel.watch(fd)
        os._exit(0)
    os.wait()
    watchers.close()
    fd = put_up_filter(kernel.calls())
    socket.send_fds(ours, [b"x"], [fd])
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
