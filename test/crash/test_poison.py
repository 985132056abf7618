"""Messages that are the death of a role each time it has them (DESIGN: twice on hold, not yet accepted:
after the third time 554), and those beside them, which suffer once at most. The death is a kill -9 at a
moment when the role has the message in its hands."""

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path

from letterlock import until
from nexthop import Silence
from smtpclient import Raw, message, queue_id, send


def test_a_message_that_kills_relay_goes_on_hold(new_home, new_hop):
    """Its next hop holds the session open at the end of data: relay dies with it there."""
    deadly, healthy = new_hop(replies={"end": Silence()}), new_hop()
    home = new_home(relay_retry="1s", relay_tls="off")
    home.cli("connector", "add", "deadly", f"127.0.0.1:{deadly.port}", "--for", "poison.example")
    home.cli("connector", "add", "healthy", f"127.0.0.1:{healthy.port}", "--for", "*")
    home.serve()
    poison = queue_id(send(home.smtp, message(mark="poison"), to="a@poison.example"))
    for death in 1, 2:
        deadly.wait(death)
        assert home.recipient(poison)["state"] == "active"
        send(home.smtp, message(mark=f"beside {death}"))
        old = home.kill_role("relay")
        home.wait_role("relay", not_pid=old)
    held = home.wait_state(poison, "held")
    assert held["cause"]["id"] == "local.relay-gone"
    assert "(2 of 2)" in str(held)
    healthy.wait(2)
    until(lambda: len(home.queue()) == 1, "all but the poison have gone")
    pid = home.roles()["relay"]
    assert home.wait_role("relay") == pid and len(deadly.messages) == 2, "it is left alone"

    deadly.set(end=None)
    home.cli("queue", "release", poison)
    home.wait_state(poison, "delivered")
    assert len(deadly.messages) == 3


def kill_store_when(home, has_it=None):
    """kill -9 of the store that has the message, which has_it() tells of one that is offered again; the
    next one is there afterwards. Control may be without a store: the process is found by its name."""
    if has_it:
        until(has_it, "store has the message again")
    else:
        time.sleep(0.5)
    old = until(lambda: store_of(home), "there is a store")
    home.kill_pid(old)
    until(lambda: store_of(home) not in (None, old), "there is another store")


def store_of(home):
    """The process id of the store, or None."""
    for pid in home.children():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "store\n":
                return pid
        except OSError:
            pass
    return None


@contextmanager
def writer_waits(home):
    """Somebody else holds the lock of node.db, for less than the ten seconds that store waits for it:
    so a message stays in store's hands."""
    db = sqlite3.connect(home.folder / "data" / "node.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def test_a_message_that_kills_store_is_refused_after_the_third_time(road):
    home = road.home
    suspect = home.folder / "data" / "suspect"
    with Raw(home.smtp, timeout=60) as client:
        client.hello()
        for line in "MAIL FROM:<a@client.example>", "RCPT TO:<b@example.org>":
            assert client.say(line).startswith("250")
        assert client.say("DATA").startswith("354")
        with writer_waits(home):
            client.put(message(mark="poison") + b".\r\n")
            kill_store_when(home)  # in a crowd: nobody is suspected yet
            for deaths in "0", "1":
                kill_store_when(home, lambda: suspect.exists() and
                                suspect.read_text().split(" ")[1:] == [deaths])
        assert client.reply().startswith("554 5.3.0 this message made the server fail three times")
        assert client.say("NOOP").startswith("250"), "the session goes on"
    assert not suspect.exists()
    assert home.queue() == []
    send(home.smtp, message(mark="healthy"))
    road.hop.wait(1)
    assert [one.queue_marks for one in road.hop.messages] == [["healthy"]]
    assert any(" store.suspect " in line for line in home.log())


def test_a_message_that_was_there_by_chance_is_accepted(road):
    """Two stores die with it, the third takes it: once in the queue, and 250."""
    home = road.home
    suspect = home.folder / "data" / "suspect"
    with Raw(home.smtp, timeout=60) as client:
        client.hello()
        for line in "MAIL FROM:<a@client.example>", "RCPT TO:<b@example.org>":
            assert client.say(line).startswith("250")
        assert client.say("DATA").startswith("354")
        with writer_waits(home):
            client.put(message(mark="innocent") + b".\r\n")
            kill_store_when(home)
            kill_store_when(home, suspect.exists)
        assert client.reply().startswith("250")
    road.hop.wait(1)
    home.wait_queue_empty()
    assert [one.queue_marks for one in road.hop.messages] == [["innocent"]]
