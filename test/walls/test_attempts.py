"""What each role tries behind its walls as they really stand: the calls are made inside the running
processes (lib/inject.py). A table says who may what; all else must fail, and must work in a process
without walls, so that no attempt fails for a reason of its own.

The second part asks for everything the kernel has: each system call by its number, in each role."""

import os
import platform
import signal
import socket
import struct
import subprocess
from contextlib import contextmanager
from errno import EACCES, ENOENT, EPERM
from pathlib import Path

import pytest
from inject import AT_FDCWD, DEAD, INT_80, NUMBERS, REFUSED, Inside
from letterlock import free_ports, until
from smtpclient import message, send

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or platform.machine() != "x86_64",
    reason="calls are made inside the roles by a debugger: needs root, and x86-64")

EDGES = {"mx", "user", "control"}
ROLES = {"serve", "store", "relay", "keys", "import"} | EDGES
AT_EMPTY_PATH = 0x1000
LOOPBACK = socket.inet_aton("127.0.0.1")


class Scene:
    """What the attempts aim at."""

    def __init__(self, home, folder):
        self.home = home.folder
        self.ini = home.folder / "letterlock.ini"
        self.ini.touch()
        (folder / "outside").mkdir()
        self.outside = folder / "outside"
        self.key = next((home.folder / "keys").iterdir())
        self.serve = home.process.pid
        self.roles = {"serve": self.serve, **home.roles()}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.unix = socket.socket(socket.AF_UNIX)
        self.abstract = b"\0letterlock-walls-%d" % os.getpid()
        self.unix.bind(self.abstract)
        self.unix.listen()
        self.bystander = subprocess.Popen(["sleep", "600"])
        self.made = 0

    def name(self):
        self.made += 1
        return f"new{self.made}"

    def close(self):
        self.listener.close()
        self.unix.close()
        self.bystander.kill()
        self.bystander.wait()


# ---- attempts: attempt(role, scene) returns what the last call said


def opens(path, flags=os.O_RDONLY, name="openat"):
    def attempt(role, scene):
        where = str(path(scene))
        if name == "openat":
            return role.call("openat", AT_FDCWD, where, flags, 0o600)
        if name == "openat2":
            return role.call("openat2", AT_FDCWD, where, struct.pack("QQQ", flags, 0, 0), 24)
        return role.call(name, where, flags, 0o600)
    return attempt


def makes(folder):
    return lambda role, scene: role.call(
        "openat", AT_FDCWD, str(folder(scene) / scene.name()), os.O_WRONLY | os.O_CREAT, 0o600)


def chain(*steps):
    """Each step gets the result of the one before; the first that fails ends it."""
    def attempt(role, scene):
        result = None
        for step in steps:
            result = step(role, scene, result)
            if result in (REFUSED, DEAD) or result < 0:
                break
        return result
    return attempt


def new_socket(family, kind=socket.SOCK_STREAM, protocol=0):
    return lambda role, scene, _=None: role.call("socket", family, kind, protocol)


def inet(port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + LOOPBACK + b"\0" * 8


def connects(role, scene, fd):
    return role.call("connect", fd, inet(scene.port), 16)


def sends(role, scene, fd):
    return role.call("sendto", fd, b"x", 1, 0, inet(scene.port), 16)


def binds(role, scene, fd):
    found = role.call("bind", fd, inet(0), 16)
    return found if found in (REFUSED, DEAD) or found < 0 else fd


def binds_port(role, scene, fd):
    port, = free_ports(1)
    return role.call("bind", fd, inet(port), 16)


def dials_abstract(role, scene, fd):
    address = struct.pack("<H", socket.AF_UNIX) + scene.abstract
    return role.call("connect", fd, address, len(address))


def dials_control(role, scene, fd):
    address = struct.pack("<H", socket.AF_UNIX) + str(scene.home / "control.sock").encode()
    return role.call("connect", fd, address, len(address) + 1)


def made(name, *arguments):
    return lambda role, scene: role.call(name, *arguments)


def at_bystander(name, *arguments):
    return lambda role, scene: role.call(name, scene.bystander.pid, *arguments)


def moves_memory(name):
    def attempt(role, scene):
        there = next(line for line in Path(f"/proc/{scene.bystander.pid}/maps").read_text().splitlines()
                     if "[stack]" in line)
        address = int(there.split("-")[1].split()[0], 16) - 4096
        local = struct.pack("QQ", role.scratch + 2048, 8)
        return role.call(name, scene.bystander.pid, local, 1, struct.pack("QQ", address, 8), 1, 0)
    return attempt


def runs_memory(role, scene):
    fd = role.call("memfd_create", "x", 0)
    if fd == REFUSED or fd < 0:
        return fd
    role.call("write", fd, "#!/bin/true\n", 12)
    return role.call("execveat", fd, "", 0, 0, AT_EMPTY_PATH)


READ, WRITE, EXEC, PRIVATE_ANONYMOUS = 1, 2, 4, 0x22


def maps_code(role, scene):
    return role.call("mmap", 0, 4096, READ | WRITE | EXEC, PRIVATE_ANONYMOUS, -1, 0)


def turns_to_code(role, scene):
    page = role.call("mmap", 0, 4096, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0)
    return role.call("mprotect", page, 4096, READ | EXEC)


def stat_hidden(role, scene):
    """The flag that lets glibc's fstat() pass, with a path all the same."""
    return role.call("newfstatat", AT_FDCWD, "/etc/passwd", b"\0" * 200, AT_EMPTY_PATH)


# what, the attempt, who may
def table():
    def home(*parts):
        return lambda scene: Path(scene.home, *parts)

    def fixed(path):
        return lambda scene: path

    def sibling(scene):
        return f"/proc/{scene.bystander.pid}/mem"

    rdwr = os.O_RDWR
    yield "read the settings' database", opens(home("data", "site.db")), {"serve", "store"}
    yield "read the queue's database", opens(home("data", "node.db"), name="open"), {"serve", "store"}
    yield "write to a database", opens(home("data", "site.db"), rdwr), {"serve", "store"}
    yield "make a file beside the databases", makes(home("data")), {"serve", "store"}
    yield "make a file in the spool", makes(home("spool")), {"serve", "store"}
    yield "list the spool", opens(home("spool"), os.O_RDONLY | os.O_DIRECTORY), {"serve", "store"}
    yield "read a key", opens(lambda s: s.key), {"serve"}
    yield "make a key", makes(home("keys")), {"serve"}
    yield "list the keys", opens(home("keys"), os.O_RDONLY | os.O_DIRECTORY), {"serve"}
    # keys sees its folder, and nothing else.
    yield "read a key by the name it has in its folder", opens(lambda s: s.key.name), {"keys"}
    yield "make a key in its folder", makes(fixed(Path("."))), {"keys"}
    yield "read letterlock.ini", opens(lambda s: s.ini), {"serve"}
    yield "write letterlock.ini", opens(lambda s: s.ini, rdwr), {"serve"}
    yield "make a file in the home", makes(home()), {"serve"}
    yield "write to the log", makes(home("log")), {"serve"}
    yield "read /etc/passwd", opens(fixed("/etc/passwd")), {"serve"}
    yield "read it by openat2", opens(fixed("/etc/passwd"), name="openat2"), set()
    yield "read it from above", opens(fixed("../../../../../../../etc/passwd")), {"serve"}
    yield "write outside the home", makes(lambda s: s.outside), set()
    yield "write to /etc", opens(fixed("/etc/passwd"), os.O_WRONLY), set()
    yield "read a sibling's memory by /proc", opens(sibling), set()
    yield "look whether a file is there", made(
        "newfstatat", AT_FDCWD, "/etc/passwd", b"\0" * 200, 0), {"serve", "store"}
    yield "look so by the flag of fstat()", stat_hidden, {"serve", "store"}
    yield "stat a file", made("stat", "/etc/passwd", b"\0" * 200), {"serve", "store"}
    yield "make a link to a file outside", lambda role, scene: role.call(
        "link", str(scene.ini), str(scene.outside / scene.name())), set()
    yield "remove a file of the home", lambda role, scene: role.call(
        "unlink", str(scene.ini)) if scene.ini.touch() is None else 0, {"serve"}

    yield "dial TCP", chain(new_socket(socket.AF_INET), connects), {"serve", "relay"}
    yield "send UDP", chain(new_socket(socket.AF_INET, socket.SOCK_DGRAM), sends), {"serve", "relay"}
    yield "dial the control socket", chain(new_socket(socket.AF_UNIX), dials_control), {"serve"}
    yield "dial an abstract socket", chain(new_socket(socket.AF_UNIX), dials_abstract), {"serve"}
    yield "bind a port to be found at", chain(new_socket(socket.AF_INET), binds_port), {"serve"}
    yield "listen", chain(new_socket(socket.AF_INET), binds,
                          lambda role, scene, fd: role.call("listen", fd, 1)), {"serve"}
    for name, family, kind, protocol in (
            # Some are not built into every kernel: those fail without walls too.
            ("packet", socket.AF_PACKET, socket.SOCK_RAW, 0),
            ("netlink", socket.AF_NETLINK, socket.SOCK_RAW, 0),
            ("crypto", socket.AF_ALG, socket.SOCK_SEQPACKET, 0),
            ("vsock", socket.AF_VSOCK, socket.SOCK_STREAM, 0),
            ("key", 15, socket.SOCK_RAW, 2),
            ("xdp", 44, socket.SOCK_RAW, 0),
            ("raw IP", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            ("ping", socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
            ("SCTP", socket.AF_INET, socket.SOCK_STREAM, 132),
            ("multipath TCP", socket.AF_INET, socket.SOCK_STREAM, 262)):
        yield f"a {name} socket", new_socket(family, kind, protocol), set()

    yield "run a program", made("execve", "/bin/true", 0, 0), {"serve"}
    yield "run a memory file", runs_memory, set()
    yield "new code in memory", maps_code, set()
    yield "memory into code", turns_to_code, set()
    yield "address space of a traced past", made("personality", 0x0400000), set()
    yield "a new user namespace", made("unshare", 0x10000000), set()
    yield "a new mount namespace", made("unshare", 0x00020000), set()
    yield "mount", made("mount", "none", "/mnt", "tmpfs", 0, 0), set()
    yield "another root", made("chroot", "/etc"), {"serve"}

    yield "signal another process", at_bystander("kill", signal.SIGCONT), set()
    yield "signal whom it reaches", made("kill", -1, 0), {"serve"}  # its roles, see above
    yield "signal another thread", lambda role, scene: role.call(
        "tgkill", scene.bystander.pid, scene.bystander.pid, signal.SIGCONT), set()
    yield "trace another process", lambda role, scene: role.call(
        "ptrace", 0x4206, scene.bystander.pid, 0, 0), set()
    yield "read another's memory", moves_memory("process_vm_readv"), set()
    yield "write another's memory", moves_memory("process_vm_writev"), set()
    yield "hold another process", at_bystander("pidfd_open", 0), set()
    yield "take another's descriptor", chain(
        lambda role, scene, _: role.call("pidfd_open", scene.bystander.pid, 0),
        lambda role, scene, fd: role.call("pidfd_getfd", fd, 0, 0)), set()
    yield "limit another process", at_bystander("prlimit64", 7, 0, b"\0" * 16), set()

    yield "an io_uring", made("io_uring_setup", 1, b"\0" * 120), set()
    yield "count another's cycles", made("perf_event_open", struct.pack("II", 1, 112) + b"\0" * 104,
                                         0, -1, -1, 0), set()
    yield "handle its own page faults", made("userfaultfd", 1), set()
    yield "a kernel key", made("add_key", "user", "x", b"x", 1, -2), set()
    yield "list kernel keys", made("keyctl", 0, -3, 1), set()
    yield "shared memory", made("shmget", 0, 4096, 0o1600), set()
    yield "the kernel's log", made("syslog", 10, 0, 0), set()
    yield "be looked into", made("prctl", 4, 1, 0, 0, 0), {"serve"}
    yield "outlive serve", made("prctl", 1, 0, 0, 0, 0), {"serve"}


TABLE = {what: (attempt, may) for what, attempt, may in table()}


@contextmanager
def unwalled(folder):
    process = subprocess.Popen(["sleep", "600"], cwd=folder)
    try:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("sleep"), "sleep runs", pause=0.002)
        with Inside(process.pid) as role:
            yield role
            role.alive = False  # it may be another program by now: nothing to go back to
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scene(road, tmp_path):
    send(road.home.smtp, message())
    road.home.wait_state("b@example.org", "delivered")
    made_scene = Scene(road.home, tmp_path)
    made_scene.running = road.home
    yield made_scene
    made_scene.close()


def failed(result):
    return result in (REFUSED, -EACCES, -EPERM, -ENOENT)


def try_all(who, role, scene):
    """Lines that say what was otherwise than the table has it."""
    wrong = []
    for what, (attempt, may) in TABLE.items():
        if who == "serve" and what == "run a program":
            continue  # it would become that program; it is seen to start roles
        result = attempt(role, scene)
        allowed = who in may
        good = result not in (REFUSED, DEAD) and result >= 0 if allowed else failed(result)
        if not good:
            wrong.append(f"{who} {'cannot' if allowed else 'can'} {what}: {result}")
    return wrong


NOT_IN_EVERY_KERNEL = {f"a {name} socket" for name in
                       ("packet", "crypto", "vsock", "key", "xdp", "ping", "SCTP", "multipath TCP")}


def test_each_attempt_works_without_walls(scene):
    """Else it would prove nothing."""
    broken = []
    for what, (attempt, _) in TABLE.items():
        with unwalled(scene.home / "keys") as role:
            result = attempt(role, scene)
        if (result == REFUSED or (result != DEAD and result < 0)) and what not in NOT_IN_EVERY_KERNEL:
            broken.append(f"{what}: {result}")
    assert not broken, "\n".join(broken)


def test_who_may_what(scene):
    wrong = []
    for who in sorted(ROLES - {"import"}):
        with Inside(scene.roles[who]) as role:
            wrong += try_all(who, role, scene)
    assert not wrong, "\n".join(wrong)
    assert scene.bystander.poll() is None
    assert scene.running.roles() == {who: pid for who, pid in scene.roles.items() if who != "serve"}


# ---- all that the kernel has

EVERY = set("""
    access brk clock_getres clock_gettime clock_nanosleep clone3 close close_range dup dup2 dup3
    epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 exit exit_group faccessat
    faccessat2 fallocate fcntl fstat ftruncate futex getcwd getdents64 getegid geteuid getgid getpeername
    getpid getppid getrandom getrusage getsockname getsockopt gettid gettimeofday getuid ioctl kill
    lseek lstat madvise membarrier memfd_create mlock mmap mprotect mremap munlock munmap nanosleep
    newfstatat open openat pipe pipe2 poll ppoll prctl pread64 prlimit64 pselect6 pwrite64 read readlink
    readlinkat readv recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn
    sched_getaffinity sched_yield select sendfile sendmsg sendto set_robust_list setsockopt shutdown
    sigaltstack socket stat statfs statx sysinfo tgkill time timerfd_create timerfd_gettime
    timerfd_settime uname write writev""".split())
FILES = set("""copy_file_range creat fadvise64 fchmod fchown fdatasync flock fstatfs fsync link linkat
    mkdir mkdirat rename renameat renameat2 rmdir sync_file_range umask unlink unlinkat""".split())
EDGE = EVERY | {"accept", "accept4"}
CALLS = {"mx": EDGE, "user": EDGE, "control": EDGE, "keys": EVERY | FILES,
         "store": EVERY | FILES | {"clone"}, "import": EVERY,
         "relay": EVERY | {"bind", "connect", "sendmmsg", "recvmmsg"}}
# Numbers that come after those in the header, too.
LATER = range(max(NUMBERS.values(), default=0) + 1, 480)


def let_through(who, role):
    """The calls beyond its list that its filter does not refuse. (Their arguments make no sense, so
    none would do harm.)"""
    others = {name: number for name, number in NUMBERS.items() if name not in CALLS[who]}
    others.update({f"number {number}": number for number in LATER})
    return [name for name, number in others.items() if role.call(number, *[-1] * 6) != REFUSED]


def test_no_other_call_of_the_kernel(scene):
    for who in sorted(CALLS.keys() - {"import"}):
        with Inside(scene.roles[who]) as role:
            assert let_through(who, role) == [], who


SIDE_DOORS = {  # each ends the role
    "32 bits": lambda role: role.call(5, "/etc/passwd", 0, code=INT_80),  # open of i386
    "x32": lambda role: role.call(0x40000000 + NUMBERS["getpid"]),
    "a handler of its own": lambda role: role.call(
        "rt_sigaction", signal.SIGSYS, b"\0" * 32, 0, 8)}


@pytest.mark.parametrize("who", [
    "mx", *(pytest.param(who, marks=pytest.mark.slow) for who in ("store", "relay", "keys"))])
def test_side_doors_end_the_role(scene, who):
    """Numbers of another machine mean other calls; whoever handled SIGSYS could feel his way on."""
    pid = scene.roles[who]
    for door, attempt in SIDE_DOORS.items():
        with Inside(pid) as role:
            assert attempt(role) == DEAD, door
        pid = scene.running.wait_role(who, pid)


# ---- import lives only as long as a pile is read


def test_import(scene, pki, tmp_path):
    """A key whose passphrase takes seconds to try, so that there is time to look at who tries it."""
    pair = pki.certificate("good")
    slow = tmp_path / "slow.pem"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", str(pair.key), "-out", slow, "-passout", "pass:x",
                    "-v2", "aes-256-cbc", "-iter", "1500000"], check=True, capture_output=True)
    (tmp_path / "passphrase").write_text("x\n")
    client = subprocess.Popen(
        [scene.running.program, "cert", "import", pair.chain, slow, "--passphrase-file",
         tmp_path / "passphrase"], env=scene.running.env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    try:
        def walled():
            for pid in scene.running.children():
                try:
                    if os.readlink(f"/proc/{pid}/exe").endswith("/import"):
                        filters = Path(f"/proc/{pid}/status").read_text().split("Seccomp_filters:")[1]
                        return pid if int(filters.split()[0]) >= 2 else None
                except FileNotFoundError:
                    pass
            return None
        pid = until(walled, "import stands behind its walls", pause=0.001)
        with Inside(pid) as role:
            wrong = try_all("import", role, scene)
            through = let_through("import", role)
        assert not wrong, "\n".join(wrong)
        assert through == []
        said = client.communicate(timeout=60)
    finally:
        client.kill()
        client.wait()
    assert client.returncode == 0, said


# ---- what the administrator sees of it


def test_a_forbidden_call_is_told(scene):
    """The process ends at its wall, says at which, and the role comes back."""
    with Inside(scene.roles["mx"]) as role:
        role.run_into_wall("ptrace", 0x4206, scene.bystander.pid, 0, 0)
    home = scene.running
    home.wait_role("mx", scene.roles["mx"])
    pid = scene.roles["mx"]
    lines = home.log()
    assert [line for line in lines if f"[{pid}:" in line and "E role.forbidden role=edge call=ptrace" in line]
    assert [line for line in lines if f"E serve.forbidden role=mx pid={pid} " in line]
    told = [one for one in home.cli_json("status")["degraded"] if one["what"] == "forbidden"]
    assert len(told) == 1 and told[0]["text"].startswith("mx was ended by its walls")
    send(home.smtp, message())  # and takes mail again


def listeners(pid):
    """Its descriptors that listen on TCP, with their ports."""
    table = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        field = line.split()
        if field[3] == "0A":
            table[f"socket:[{field[9]}]"] = int(field[1].split(":")[1], 16)
    held = {int(fd.name): os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return {fd: table[what] for fd, what in held.items() if what in table}


def test_a_listening_socket_is_no_way_out(scene):
    """Shut down, it would be a fresh socket, and MSG_FASTOPEN connects without connect(). And the port
    is served again by the next process, whatever this one did to it."""
    fast_open = 0x20000000
    with Inside(scene.roles["mx"]) as role:
        (fd, _), *_ = listeners(scene.roles["mx"]).items()
        assert role.call("shutdown", fd, socket.SHUT_RDWR) == 0
        assert role.call("connect", fd, inet(scene.port), 16) == REFUSED
        assert role.call("sendto", fd, b"x", 1, fast_open, inet(scene.port), 16) == REFUSED
        address = inet(scene.port)
        where = role.scratch + 1024
        header = struct.pack("QIIQQQQI", where, 16, 0, where + 64, 1, 0, 0, 0)
        os.pwrite(role.memory, address, where)
        os.pwrite(role.memory, struct.pack("QQ", where, 1), where + 64)
        assert role.call("sendmsg", fd, header, fast_open) == REFUSED
        assert role.call("listen", fd, 10) == REFUSED
    scene.listener.settimeout(0.2)
    with pytest.raises(TimeoutError):
        scene.listener.accept()
    scene.running.kill_role("mx")
    scene.running.wait_role("mx", scene.roles["mx"])
    send(scene.running.smtp, message())
