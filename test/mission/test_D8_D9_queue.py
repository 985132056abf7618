"""D8: "not relayed yet" is visible per message within a second: id, state, reason, next try.
D9: the queue viewer: retry now for a message, a domain, a connector, everything; hold, release,
remove. A retry leaves a fresh record of its attempt."""

import time

import pytest
from letterlock import until
from smtpclient import message, queue_id, send

LATER = "450 4.2.0 not yet"


@pytest.fixture
def stuck(road):
    """The road with a next hop that puts everything off."""
    road.hop.set(RCPT=LATER)
    return road


def test_D8_visible_within_a_second(stuck):
    id = queue_id(send(stuck.home.smtp, message(message_id="<d8@client.example>")))
    accepted = time.monotonic()

    def seen():
        return [m for m in stuck.home.queue() if m["recipients"][0]["state"] == "deferred"]

    listed = until(seen, "the deferred message is listed", timeout=5, pause=0)
    # The command itself takes part of the second; under sanitizers it is slow.
    assert time.monotonic() - accepted < 3
    one = listed[0]
    recipient = one["recipients"][0]
    assert one["id"] == id and one["message_id"] == "<d8@client.example>"
    assert recipient["state"] == "deferred" and recipient["next_try"]
    assert "not yet" in recipient["last"]["text"]
    plain = stuck.home.cli("queue", "list")
    for word in (id, "b@example.org", "deferred", "not yet"):
        assert word in plain
    shown = stuck.home.cli("queue", "show", id)
    assert "not yet" in shown and "a@client.example" in shown


def test_D8_filters(stuck):
    for domain in ("one.example", "two.example"):
        send(stuck.home.smtp, message(), to=f"b@{domain}")
        stuck.home.wait_state(f"b@{domain}", "deferred")
    assert len(stuck.home.queue()) == 2
    assert len(stuck.home.queue("--domain", "one.example")) == 1
    assert len(stuck.home.queue("--state", "deferred")) == 2
    assert stuck.home.queue("--state", "held") == []
    stuck.home.refused("queue", "list", "--state", "nonsense")


def attempts(home, what):
    return [r for r in home.trace(what)["records"] if r["kind"] == "attempt"]


@pytest.mark.parametrize("by", ["id", "--domain", "--connector", "--all"])
def test_D9_retry_leaves_a_fresh_record(stuck, by):
    id = queue_id(send(stuck.home.smtp, message()))
    stuck.home.wait_state(id, "deferred")
    assert len(attempts(stuck.home, id)) == 1
    which = {"id": (id,), "--domain": (by, "example.org"), "--connector": (by, "hop"),
             "--all": (by,)}[by]
    stuck.home.cli("queue", "retry", *which)
    until(lambda: len(attempts(stuck.home, id)) == 2, "a second attempt is recorded")
    stuck.hop.set(RCPT=None)
    stuck.home.wait_state(id, "deferred")
    stuck.home.cli("queue", "retry", *which)
    stuck.home.wait_state(id, "delivered")
    assert len(attempts(stuck.home, id)) == 3
    assert len(stuck.hop.messages) == 1


def test_D9_hold_release_remove(stuck):
    ids = [queue_id(send(stuck.home.smtp, message(mark=i), to=f"b{i}@example.org")) for i in (1, 2)]
    for id in ids:
        stuck.home.wait_state(id, "deferred")
    stuck.home.cli("queue", "hold", ids[0])
    stuck.hop.set(RCPT=None)
    stuck.home.cli("queue", "retry", "--all")
    stuck.home.wait_state(ids[1], "delivered")
    assert stuck.home.recipient(ids[0])["state"] == "held"
    stuck.home.cli("queue", "release", ids[0])
    stuck.home.wait_state(ids[0], "delivered")

    stuck.hop.set(RCPT=LATER)
    gone = queue_id(send(stuck.home.smtp, message(mark=3)))
    stuck.home.wait_state(gone, "deferred")
    stuck.home.cli("queue", "remove", gone)
    stuck.home.wait_state(gone, "removed")
    assert stuck.home.queue() == []
    stuck.hop.set(RCPT=None)
    assert [m.queue_marks for m in stuck.hop.messages] == [["2"], ["1"]]


def test_D9_what_is_not_there_is_refused(stuck):
    stuck.home.refused("queue", "show", "0000000000000")
    stuck.home.refused("queue", "retry", "nonsense")
    stuck.home.refused("queue", "retry", status=2)


def test_D9_queue_survives_a_restart(stuck):
    id = queue_id(send(stuck.home.smtp, message(mark="kept")))
    stuck.home.wait_state(id, "deferred")
    stuck.home.stop()
    assert [m["id"] for m in stuck.home.queue()] == [id], "readable while it is down"
    stuck.hop.set(RCPT=None)
    stuck.home.serve()
    stuck.home.cli("queue", "retry", "--all")
    stuck.home.wait_state(id, "delivered")
    assert stuck.hop.messages[0].queue_marks == ["kept"]
