"""A disk with no room (D, W7 of doc/QUEUE.md), on a file system of 4 MB: mail is refused at MAIL before
anything is sent, what was taken goes on its way, and all is well again without a restart once there
is space. Nothing that got 250 is lost."""

import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
from letterlock import Home, until
from load import ACCEPTED, Load, is_whole, numbered
from smtpclient import Raw, message

MB = 1024 * 1024
OUR_FLOOR = 512 * 1024  # an eighth of 4 MB: queue.min_free is more


@pytest.fixture
def small(tmp_path, new_hop):
    """A home that is a file system of 4 MB, serving; small.hop takes its mail."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "letterlock", folder],
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    home = Home(folder, settings={"relay.retry": "1s", "relay.tls": "off"})
    try:
        home.hop = new_hop()
        home.setup()
        home.cli("connector", "add", "hop", f"127.0.0.1:{home.hop.port}", "--for", "*")
        home.serve()
        yield home
    finally:
        try:
            home.stop()
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def free(home):
    return shutil.disk_usage(home.folder).free


@contextmanager
def stranger(home, leave=0):
    """Somebody else fills the disk, up to the last `leave` bytes, and later goes away."""
    path = home.folder / "stranger"
    with open(path, "wb", buffering=0) as file:
        while (left := free(home) - leave) > 0:
            try:
                file.write(b"\0" * min(left, 65536))
            except OSError:
                break
    try:
        yield
    finally:
        path.unlink()


def begin(client, options=""):
    """MAIL and its reply."""
    return client.say(f"MAIL FROM:<a@client.example>{options}")


def transfer(client, data):
    """RCPT, DATA and the content; returns the last reply."""
    assert client.say("RCPT TO:<b@example.org>").startswith("250")
    assert client.say("DATA").startswith("354")
    client.put(data + b".\r\n")
    return client.reply()


def send(home, mark, size=0):
    """One message, with its SIZE if it is not small; returns the verb that was refused and the reply, or
    ("", the 250)."""
    with Raw(home.smtp) as client:
        client.hello()
        data = message((b"z" * 70 + b"\r\n") * (size // 72), mark=mark)
        reply = begin(client, f" SIZE={len(data)}" if size else "")
        if not reply.startswith("250"):
            return "MAIL", reply
        reply = transfer(client, data)
        return ("" if reply.startswith("250") else "end", reply)


def takes_mail(home):
    with Raw(home.smtp) as client:
        client.hello()
        return begin(client).startswith("250")


def degraded(home):
    return [one["text"] for one in home.cli_json("status")["degraded"] if one["what"] == "disk"]


def events(home, name):
    return sum(f" {name} " in line for line in home.log())


def marks(home):
    return sorted(mark for one in home.hop.messages for mark in one.queue_marks)


def test_own_mail_fills_a_small_disk(small):
    """4 MB take small mail until the floor is reached; then 452 at MAIL, and all comes out again."""
    small.hop.stop()
    small.set(relay_retry="1h")  # attempts, too, take room for their records
    taken = []
    for size in 30000, 0:
        while True:
            verb, reply = send(small, f"n{len(taken)}", size)
            if verb:
                break
            taken.append(f"n{len(taken)}")
        assert reply.startswith("452 4.3.1"), reply
        assert verb == "MAIL", "who finds no room hears it before anything is sent"
    assert len(taken) >= 50, "most of the disk was used"
    assert free(small) > OUR_FLOOR // 2, "and the floor was left alone"
    assert events(small, "store.low") and not events(small, "store.full")

    small.hop.start()
    small.cli("queue", "retry", "--all")
    until(lambda: not small.queue(), "the queue drains while the disk is low", timeout=60)
    assert marks(small) == sorted(taken)
    # What the last results give back comes in steps: mail may be refused once more in between.
    until(lambda: takes_mail(small) and degraded(small) == [] and
          events(small, "store.space") == events(small, "store.low"), "mail is taken again", timeout=20)
    assert send(small, "after")[0] == ""
    small.hop.wait(len(taken) + 1)


def test_size_is_judged_at_mail(small):
    """SIZE against what there is (RFC 1870 6.1); whoever said less, or nothing, hears it at the end of
    data, and the session goes on."""
    with Raw(small.smtp, timeout=60) as client:
        client.hello()
        assert begin(client, f" SIZE={4 * MB}").startswith("452 4.3.1")
        assert begin(client, f" SIZE={60 * MB}").startswith("552 5.3.4"), "more than smtp.max_size"
        large = (b"x" * 998 + b"\r\n") * (6 * MB // 1000)
        for options in ("", " SIZE=1000"):
            assert begin(client, options).startswith("250")
            assert transfer(client, large).startswith("452 4.3.1")
            assert begin(client, " SIZE=1000000").startswith("250"), "room is given back"
            assert transfer(client, message(mark=f"small{options}")).startswith("250")
        assert begin(client, f" SIZE={MB + MB // 2}").startswith("250")
        assert transfer(client, message(large[:1500 * 1000], mark="1.5 MB")).startswith("250")
    small.hop.wait(3, timeout=60)
    assert not events(small, "store.full"), "the disk itself never was"


def test_promises_of_a_session_count_together(small):
    """Room that one session was promised is not promised to another one."""
    with Raw(small.smtp) as one, Raw(small.smtp) as other:
        one.hello()
        other.hello()
        assert begin(one, f" SIZE={MB + MB // 2}").startswith("250")
        assert begin(other, f" SIZE={MB * 3 // 2}").startswith("452 4.3.1")
        assert begin(other, " SIZE=100000").startswith("250")
        assert one.say("RSET").startswith("250")
        assert other.say("RSET").startswith("250")
        assert begin(other, f" SIZE={MB * 3 // 2}").startswith("250")


def test_a_stranger_fills_the_disk(small):
    """To the last byte. Queued mail drains by the reserve, a change of the settings is refused with the
    remedy, logs stop nobody, store comes back if it must, and all is well when the stranger goes."""
    small.hop.stop()
    taken = [f"n{n}" for n in range(10)]
    for mark in taken:
        assert send(small, mark, size=20000)[0] == ""
    with stranger(small):
        until(lambda: not takes_mail(small), "mail is refused at MAIL", timeout=20)
        assert degraded(small) and str(small.folder) in degraded(small)[0]
        said = small.refused("config", "set", "smtp.max_hops", "40")
        assert "the disk is full: nothing was changed. Free space on the file system of" in said
        assert small.setting("smtp.max_hops") == "50"
        small.hop.start()
        until(lambda: not small.queue(), "the queue drains on a full disk", timeout=60)
        assert marks(small) == sorted(taken)
        assert not takes_mail(small)
        old = small.kill_role("store")
        small.wait_role("store", not_pid=old, timeout=60)
        until(lambda: not takes_mail(small), "the next store tells its edges", timeout=20)
    until(lambda: takes_mail(small), "mail is taken again", timeout=20)
    until(lambda: degraded(small) == [], "status is content", timeout=10)
    small.set(smtp_max_hops="40")
    assert send(small, "after")[0] == ""
    small.hop.wait(len(taken) + 1)
    assert marks(small) == sorted([*taken, "after"])


def test_a_disk_that_fills_and_empties_under_load(small):
    """Nothing acknowledged is lost, nothing is half, nothing refused arrives."""
    small.set(log_level="warn")  # so that 4 MB are not full of log
    with Load(small, clients=2, sizes=(200, 4000, 30000, 200000), seed=3, pause=0.1) as load:
        for leave in (0, OUR_FLOOR // 2, 0):
            time.sleep(1.5)
            with stranger(small, leave):
                time.sleep(2)
            until(lambda: takes_mail(small), "mail is taken again", timeout=20)
    until(lambda: not small.queue(), "the queue is empty", timeout=90)
    accepted = {mark for mark, outcome in load.outcomes.items() if outcome == ACCEPTED}
    assert all(is_whole(one.data) for one in small.hop.messages)
    arrived = marks(small)
    assert len(arrived) == len(set(arrived)), "twice"
    assert set(arrived) == accepted
    assert len(accepted) > 50
    assert events(small, "store.space") >= 2


def test_the_floor_is_a_setting(small):
    """queue.min_free, live: 0 uses the disk up to the last byte, and is safe all the same."""
    small.hop.stop()
    small.set(queue_min_free="1G")
    assert takes_mail(small), "an eighth of a small disk is enough"
    small.set(queue_min_free="0")
    taken = []
    for n in range(400):
        verb, reply = send(small, f"n{n}", size=40000)
        if verb:
            break
        taken.append(f"n{n}")
    assert reply.startswith("452 4.3.1"), reply
    assert free(small) < OUR_FLOOR // 2
    small.hop.start()
    until(lambda: not small.queue(), "the queue drains", timeout=60)
    assert marks(small) == sorted(taken)
    until(lambda: takes_mail(small), "mail is taken again", timeout=20)


def test_many_small_messages_drain(small):
    """What is left behind of each (its row, what was said) needs less than its body gave back."""
    small.hop.stop()
    taken = []
    with Raw(small.smtp) as client:
        client.hello()
        for n in range(3000):
            if not begin(client).startswith("250"):
                break
            reply = transfer(client, message(mark=f"n{n}"))
            if not reply.startswith("250"):
                break
            taken.append(f"n{n}")
    assert len(taken) > 300
    small.hop.start()
    until(lambda: not small.queue(), "the queue drains", timeout=90)
    assert marks(small) == sorted(taken)
