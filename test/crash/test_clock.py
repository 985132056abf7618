"""The wall clock of store jumps by years, while it runs and between two runs: nothing is given up, nothing
waits for years. (The clock itself: src/store/jumps_test.c.) Store, and it alone, sees a clock that the
test sets: a library in front of the C library's clock_gettime()."""

import shlex
import shutil
import struct
import subprocess
import time

import pytest
from letterlock import build_folder, until
from smtpclient import message, queue_id, send

YEARS = 12 * 365 * 24 * 3600

SHIFT_C = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *seconds;

__attribute__((constructor)) static void open_file(void)
{
	int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY);
	seconds = mmap(NULL, sizeof *seconds, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (seconds == MAP_FAILED)
		abort();
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int result = (int)syscall(SYS_clock_gettime, id, t);
	if (result == 0 && id == CLOCK_REALTIME)
		t->tv_sec += *seconds;
	return result;
}
"""


class Clock:
    """A build folder of its own, in which store is started behind the library."""

    def __init__(self, folder):
        self.file = folder / "shift"
        self.set(0)
        (folder / "shift.c").write_text(SHIFT_C)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / "shift.so",
                        folder / "shift.c"], check=True)
        real, here = build_folder(), folder / "build"
        (here / "libexec" / "letterlock").mkdir(parents=True)
        shutil.copy2(real / "letterlock", here / "letterlock")
        for role in (real / "libexec" / "letterlock").iterdir():
            shutil.copy2(role, here / "libexec" / "letterlock")  # serve looks beside itself
        store = here / "libexec" / "letterlock" / "store"
        store.unlink()
        store.write_text(f"""#!/bin/sh
export CLOCK_SHIFT={shlex.quote(str(self.file))} LD_PRELOAD={shlex.quote(str(folder / "shift.so"))}
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0:abort_on_error=1
exec {shlex.quote(str(real / "libexec" / "letterlock" / "store"))}
""")
        store.chmod(0o755)
        self.program = here / "letterlock"

    def set(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture
def waiting(tmp_path, new_home, new_hop):
    """A home with one message that its next hop puts off, again and again; the clock of its store."""
    clock = Clock(tmp_path)
    hop = new_hop(replies={"RCPT": "450 4.2.0 later"})
    home = new_home(relay_retry="1s", relay_tls="off")
    home.program = clock.program
    home.cli("connector", "add", "hop", f"127.0.0.1:{hop.port}", "--for", "*")
    home.serve()
    home.hop, home.clock = hop, clock
    home.id = queue_id(send(home.smtp, message(mark="one")))
    home.wait_state(home.id, "deferred")
    return home


def attempts(home):
    return sum(command.startswith("RCPT") for one in home.hop.sessions for command in one.commands)


def expect_attempts(home):
    """It goes on being tried, no faster than it should, and is not given up."""
    before, start = attempts(home), time.monotonic()
    until(lambda: attempts(home) >= before + 3, "attempts are made", timeout=30)
    assert time.monotonic() - start > 1, "in a storm"
    assert home.recipient(home.id)["state"] in ("deferred", "active")


def expect_delivery(home):
    home.hop.set(RCPT=None)
    home.wait_state(home.id, "delivered", timeout=30)
    assert [one.queue_marks for one in home.hop.messages] == [["one"]]


def test_the_clock_jumps_while_store_runs(waiting):
    for seconds in YEARS, 0, -YEARS, 0:
        waiting.clock.set(seconds)
        expect_attempts(waiting)
    assert sum(" store.clock " in line for line in waiting.log()) == 4
    expect_delivery(waiting)


def test_the_clock_jumps_between_two_runs(waiting):
    for seconds in YEARS, 0:
        waiting.stop()
        waiting.clock.set(seconds)
        waiting.serve()
        expect_attempts(waiting)
    assert sum(" store.clock " in line for line in waiting.log()) == 2
    expect_delivery(waiting)
