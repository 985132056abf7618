"""A server in an accounting group of its own: the CPU time of all its processes, those that ended
included, and their memory. Control groups of version 1 (cpuacct) and 2; needs root."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

V1 = Path("/sys/fs/cgroup/cpuacct")


def pss(pids):
    """Memory of processes in KiB; what they share is divided among them."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended meanwhile
        found = re.search(r"^Pss:\s+(\d+)", text, re.M)
        total += int(found[1]) if found else 0
    return total


def settle_disk(seconds=20):
    """Writes what is dirty and waits until no disk has worked for a fifth of a second: what a server that
    was measured before left behind, removed files above all, would slow the next one's syncs."""
    os.sync()
    end = time.monotonic() + seconds
    before = None
    while time.monotonic() < end:
        now = Path("/proc/diskstats").read_text()
        if now == before:
            return
        before = now
        time.sleep(0.2)


class Group:
    def __init__(self, name):
        base = V1 if V1.is_dir() else Path("/sys/fs/cgroup")
        self.path = base / f"bench-{name}-{os.getpid()}"
        self.path.mkdir()

    def start(self, command, **options):
        """Starts a command whose descendants all belong to the group."""
        join = lambda: (self.path / "cgroup.procs").write_text(str(os.getpid()))
        return subprocess.Popen(command, preexec_fn=join, **options)

    def cpu(self):
        """CPU seconds used so far."""
        try:
            return int((self.path / "cpuacct.usage").read_text()) / 1e9
        except FileNotFoundError:
            text = (self.path / "cpu.stat").read_text()
            return int(re.search(r"usage_usec (\d+)", text)[1]) / 1e6

    def processes(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def pss(self):
        """Memory in MiB."""
        return pss(self.processes()) / 1024

    def settle(self, seconds=5):
        """Waits until the server is idle: CPU use below 3 % for a tenth of a second."""
        end = time.monotonic() + seconds
        before = self.cpu()
        while time.monotonic() < end:
            time.sleep(0.1)
            after = self.cpu()
            if after - before < 0.003:
                return
            before = after

    def remove(self):
        """Ends what still runs in the group, and the group."""
        end = time.monotonic() + 5
        while self.processes() and time.monotonic() < end:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        self.path.rmdir()
