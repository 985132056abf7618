"""Calls that fail, and deaths in their middle, at each numbered step of the writer (Q1 to Q9 of
doc/QUEUE.md), at start-up and in the other roles, with the real programs under load. Each time: nothing
acknowledged is lost, nobody hangs, peers hear 4yz and never 5yz, and service goes on by itself."""

import errno
from dataclasses import dataclass

import pytest
from faults import Faults
from journey import judge, settle
from letterlock import until
from load import ACCEPTED, Load
from smtpclient import Raw, message, send

slow = pytest.mark.slow
SIZES = (500, 20000, 60000, 100000, 1500000)  # rows (60000: not in a packet), copied files, an edge's own


@dataclass
class Fault:
    step: str
    call: str
    pattern: str
    error: int = errno.EIO
    act: str = "fail"
    role: str = "store"
    times: int = 1
    #: Whether store must end of it (W5), or must not.
    ends: bool = False
    #: Strikes from the first message on: at what is done once only.
    first: bool = False

    def __str__(self):
        name = errno.errorcode[self.error] if self.act in ("fail", "half") else ""
        return "-".join(one for one in (self.step, self.role, self.call, self.act, name) if one)


def row(*args, marks=(), **kwargs):
    fault = Fault(*args, **kwargs)
    return pytest.param(fault, id=str(fault).replace(" ", "-"), marks=marks)


BODY, FILE, FOLDER, SPOOL = "*unnamed", "*/spool/??/*", "*/spool/??", "*/spool"
WAL, DATABASE = "*/node.db-wal", "*/node.db"
NO_SPACE = {"error": errno.ENOSPC, "times": 3}

FAILURES = [
    row("Q1", "open", BODY, errno.EMFILE, marks=slow),
    row("Q1", "open", BODY, **NO_SPACE, marks=slow),
    row("Q1", "mmap", "", errno.ENOMEM, times=3),
    row("Q1", "write", BODY, marks=slow),
    row("Q1", "write", BODY, **NO_SPACE, marks=slow),
    row("Q1", "write", BODY, act="half", **NO_SPACE, marks=slow),
    row("Q2", "link", FILE, marks=slow),
    row("Q2", "link", FILE, **NO_SPACE, marks=slow),
    row("Q2", "mkdir", FOLDER, first=True, marks=slow),
    row("Q2", "mkdir", FOLDER, **NO_SPACE, first=True, marks=slow),
    row("Q3", "sync", BODY, ends=True),
    row("Q4", "open", FOLDER, errno.EMFILE, ends=True, marks=slow),
    row("Q4", "sync", FOLDER, ends=True, marks=slow),
    row("Q4", "sync", SPOOL, ends=True, first=True, marks=slow),
    row("Q5", "write", WAL, ends=True, marks=slow),
    row("Q5", "write", WAL, act="half", ends=True, marks=slow),
    row("Q5", "write", WAL, **NO_SPACE),
    row("Q5", "write", WAL, act="half", **NO_SPACE, marks=slow),
    row("Q6", "sync", WAL, ends=True),
    row("Q8", "unlink", FILE, times=3, marks=slow),
    row("Q9", "write", DATABASE, ends=True, marks=slow),
    row("Q9", "write", DATABASE, **NO_SPACE, marks=slow),
    row("Q9", "write", DATABASE, act="half", ends=True, marks=slow),
    row("Q9", "sync", DATABASE, ends=True, marks=slow),
    # On the way out.
    row("deliver", "open", FILE, errno.EMFILE, times=3, marks=slow),
    row("deliver", "open", FILE, times=3, marks=slow),
    row("deliver", "memfd", "letter", errno.EMFILE, times=3, marks=slow),
    # In other roles.
    row("accept", "accept", "*", errno.EMFILE, role="edge", times=3),
    row("data", "memfd", "*", errno.EMFILE, role="edge", times=3, marks=slow),
    row("data", "memfd", "*", errno.ENFILE, role="edge", times=3, marks=slow),
    row("data", "write", "letter", **NO_SPACE, role="edge", marks=slow),
    row("relay", "mmap", "", errno.ENOMEM, role="relay", times=3, marks=slow),
]

DEATHS = [
    row(step, call, pattern, act=act, ends=True, first=first, marks=slow)
    for step, call, pattern, first in (
        ("Q1", "write", BODY, False), ("Q2", "link", FILE, False), ("Q3", "sync", BODY, False),
        ("Q2", "mkdir", FOLDER, True), ("Q4", "sync", FOLDER, False), ("Q4", "sync", SPOOL, True),
        ("Q5", "write", WAL, False), ("Q6", "sync", WAL, False), ("Q8", "unlink", FILE, False),
        ("Q9", "write", DATABASE, False), ("Q9", "sync", DATABASE, False))
    for act in ("die before", "die after")]

#: Met while store starts again after a death: once, then it is as it was.
START_UP = [
    row("start", "open", DATABASE, errno.EMFILE, times=2),
    row("start", "open", DATABASE, marks=slow),
    row("start", "open", SPOOL, errno.EMFILE, marks=slow),
    row("start", "mmap", "*-shm", errno.ENOMEM, marks=slow),
    row("start", "read", DATABASE, marks=slow),
    row("start", "read", WAL, marks=slow),
    row("start", "write", WAL, error=errno.ENOSPC, marks=slow),
    row("start", "sync", SPOOL, marks=slow),
    row("start", "mmap", "anonymous", errno.ENOMEM, marks=slow),
    row("start", "sync", SPOOL, act="die before", marks=slow),
    row("start", "unlink", FILE, act="die before", marks=slow),
]


@pytest.fixture
def faults(road):
    """The rules for the roles of road.home, which serves with them."""
    road.home.stop()
    made = Faults(road.home)
    road.home.serve()
    road.home.cli("config", "set", "relay.retry", "1s")
    return made


def arm(faults, fault):
    faults.arm(fault.role, fault.call, fault.pattern, fault.error, fault.act, times=fault.times)


def accepted_since(load, before):
    return load.count(ACCEPTED) >= before + 10


def finish(road, load):
    """What must hold after every fault, when the load is over."""
    assert not load.hung, f"{load.hung} clients waited in vain"
    assert set(load.refusals) <= {"421", "451", "452"}, load.refusals
    settle(road.home)
    judge(load, road.hop, doubts=True)
    road.home.stop()
    road.home.preload = {}
    road.home.serve()
    assert [one for one in (road.home.folder / "spool").rglob("*") if one.is_file()] == []


@pytest.mark.parametrize("fault", FAILURES + DEATHS)
def test_a_call_fails(road, faults, fault):
    store = road.home.roles()["store"]
    with Load(road.home, clients=6, sizes=SIZES) as load:
        if not fault.first:
            until(lambda: accepted_since(load, 0), "mail comes in")
        arm(faults, fault)
        until(lambda: faults.hits() >= fault.times, "the fault is met", timeout=60)
        faults.clear()
        before = load.count(ACCEPTED)
        until(lambda: accepted_since(load, before), "mail comes in again", timeout=60)
    assert (road.home.wait_role("store") != store) == fault.ends, "store ended, or did not"
    finish(road, load)


@pytest.mark.parametrize("fault", START_UP)
def test_a_call_fails_at_start_up(road, faults, fault):
    with Load(road.home, clients=6, sizes=SIZES) as load:
        until(lambda: accepted_since(load, 0), "mail comes in")
        # It must die of something: with a body that has a name and no row yet, and a WAL to read.
        faults.arm("store", "write", WAL, act="die before")
        until(faults.hits, "store died")
        arm(faults, fault)
        until(lambda: faults.hits() >= fault.times, "the fault is met", timeout=60)
        faults.clear()
        before = load.count(ACCEPTED)
        until(lambda: accepted_since(load, before), "mail comes in again", timeout=60)
    finish(road, load)


def test_a_failed_sync_refuses_all_who_wait(road, faults):
    """W5: one sync fails while many wait for it and behind it. None of them hears 250; store ends,
    start-up reads what is there, and later mail flows."""
    home = road.home
    store = home.roles()["store"]
    clients = [Raw(home.smtp) for _ in range(20)]
    for i, client in enumerate(clients):
        client.hello()
        for line in ("MAIL FROM:<a@client.example>", "RCPT TO:<b@example.org>", "DATA"):
            assert client.say(line)[0] in "23"
        client.put(message(mark=f"waiting-{i}"))
    home.cli("service", "stop", "relay")  # its results shall not be what meets the fault
    faults.arm("store", "sync", WAL, stall_ms=700, times=1)
    for client in clients:
        client.put(b".\r\n")
    replies = [client.reply() for client in clients]
    assert faults.hits() == 1
    assert all(reply.startswith("451 4.3.") for reply in replies), replies
    home.wait_role("store", not_pid=store)
    assert any("store.failed" in line and "disk I/O error" in line for line in home.log())
    home.cli("service", "start", "relay")
    send(home.smtp, message(mark="later"))
    until(lambda: any("later" in one.queue_marks for one in road.hop.messages), "later mail flows")


@pytest.mark.parametrize("call, error", [
    ("fork", errno.EAGAIN), pytest.param("socketpair", errno.EMFILE, marks=slow)])
def test_serve_cannot_start_a_role_at_once(road, faults, call, error):
    """What fails for lack of a process or a descriptor is tried again, for each role."""
    home = road.home
    for name in ("relay", "mx", "store"):
        pid = home.roles()[name]
        faults.arm("serve", call, "*", error, times=3)
        home.kill_pid(pid)
        until(lambda: faults.hits() >= 1, f"{call} fails")
        home.wait_role(name, not_pid=pid, timeout=30)
        faults.clear()
    assert home.process.poll() is None
    send(home.smtp, message(mark="after"))
    until(lambda: any("after" in one.queue_marks for one in road.hop.messages), "mail flows")
