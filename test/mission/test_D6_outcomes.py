"""D6: permanent (550 5.1.1) against temporary failure; the remote text is kept: code, enhanced code,
text and command, in queue, trace and bounce."""

import email
from email import policy

import pytest
from nexthop import Drop, Silence
from smtpclient import Raw, message, send

NO_SUCH = "550 5.1.1 no such mailbox here"


def bounce(hop, count=1, timeout=30):
    """The delivery status notification that arrived last, parsed; its report fields per recipient."""
    letter = email.message_from_bytes(hop.wait(count, timeout)[-1].data, policy=policy.default)
    assert letter.get_content_type() == "multipart/report"
    assert letter.get_param("report-type") == "delivery-status"
    plain, status, _ = letter.iter_parts()
    return letter, plain.get_content(), list(status.iter_parts())


@pytest.fixture
def two_hops(new_home, new_hop, pki):
    """Mail for bad.example goes to a next hop of its own, all other mail (bounces) to road.hop."""

    class Two:
        bad = new_hop(certificate=pki.certificate("good"))
        hop = new_hop(certificate=pki.certificate("good"))
        home = new_home(relay_retry="1s 1s 1s")

    for name, end, domain in (("bad", Two.bad, "bad.example"), ("rest", Two.hop, "*")):
        Two.home.cli("connector", "add", name, f"localhost:{end.port}", "--for", domain, "--tls",
                     "verify", "--trust", pki.root.pem)
    Two.home.serve()
    return Two


def test_D6_permanent(two_hops):
    two_hops.bad.set(RCPT=NO_SUCH)
    send(two_hops.home.smtp, message(message_id="<d6@client.example>"), to="gone@bad.example")
    one = two_hops.home.wait_state("<d6@client.example>", "bounced")
    assert one["last"]["code"] == 550 and one["last"]["enhanced"] == "5.1.1"
    assert "no such mailbox here" in one["last"]["text"]
    assert one["last"]["command"].startswith("RCPT")
    assert one["cause"]["id"] == "reply.no-mailbox" and one["cause"]["owner"] == "sender"
    assert one["attempts"] == 1

    letter, plain, (per_message, per_recipient) = bounce(two_hops.hop)
    assert two_hops.hop.messages[0].sender == "", "a bounce has the null sender"
    assert two_hops.hop.messages[0].recipients == ["a@client.example"]
    assert letter["Auto-Submitted"] == "auto-replied"
    assert per_message["Reporting-MTA"].endswith(two_hops.home.hostname)
    assert per_recipient["Final-Recipient"].replace(" ", "") == "rfc822;gone@bad.example"
    assert per_recipient["Action"] == "failed" and per_recipient["Status"] == "5.1.1"
    assert "550 5.1.1 no such mailbox here" in per_recipient["Diagnostic-Code"]
    for word in ("gone@bad.example", "no such mailbox here", "RCPT", "localhost", "TLS"):
        assert word in plain


def test_D6_temporary_then_delivered(two_hops):
    two_hops.bad.set(RCPT=["451 4.3.2 come back in a second", "250 2.1.5 ok"])
    send(two_hops.home.smtp, message(), to="b@bad.example")
    one = two_hops.home.wait_state("b@bad.example", "deferred")
    assert one["last"]["code"] == 451 and one["last"]["enhanced"] == "4.3.2"
    assert "come back in a second" in one["last"]["text"]
    assert one["cause"]["id"].startswith("reply.") and one["next_try"]
    done = two_hops.home.wait_state("b@bad.example", "delivered")
    assert done["attempts"] == 2
    # Both attempts stand in the trace, the first with its reply.
    told = two_hops.home.cli("trace", "b@bad.example")
    assert "451 4.3.2" in told, told
    assert two_hops.hop.messages == []


@pytest.mark.parametrize("moment, reply, command", [
    ("greeting", "421 4.3.2 too busy", None),
    ("EHLO", "421 4.3.2 too busy", "EHLO"),
    ("MAIL", "450 4.7.1 not now", "MAIL"),
    ("RCPT", "450 4.7.1 not now", "RCPT"),
    ("DATA", "451 4.3.0 not now", "DATA"),
    ("end", "452 4.3.1 disk full", "data"),
    ("greeting", Drop(), None),
    ("MAIL", Drop(), "MAIL"),
    ("content", Drop(10), "data"),
    ("end", Drop(), "data"),
])
def test_D6_trouble_at_each_step_is_tried_again(two_hops, moment, reply, command):
    two_hops.bad.set(**{moment: reply})
    send(two_hops.home.smtp, message(mark="step"), to="b@bad.example")
    one = two_hops.home.wait_state("b@bad.example", "deferred")
    if isinstance(reply, str):
        assert one["last"]["code"] == int(reply[:3]) and reply[4:9] == one["last"]["enhanced"]
        assert reply[10:] in one["last"]["text"]
    else:
        assert one["cause"]["id"] == "peer.dropped"
    assert command is None or command.lower() in one["last"]["command"].lower()
    two_hops.bad.set(**{moment: None})
    two_hops.home.cli("queue", "retry", "--domain", "bad.example")
    two_hops.home.wait_state("b@bad.example", "delivered")
    # Only the reply to the end of data can be lost with the message taken.
    assert len(two_hops.bad.messages) >= 1
    assert len(two_hops.bad.messages) == 1 or moment == "end"
    assert two_hops.hop.messages == []


@pytest.mark.parametrize("moment", ["MAIL", "DATA", "end"])
def test_D6_permanent_at_each_step(two_hops, moment):
    two_hops.bad.set(**{moment: "554 5.7.1 not for us"})
    send(two_hops.home.smtp, message(), to="b@bad.example")
    one = two_hops.home.wait_state("b@bad.example", "bounced")
    assert one["last"]["enhanced"] == "5.7.1" and "not for us" in one["last"]["text"]
    bounce(two_hops.hop)


def test_D6_silent_peer(two_hops):
    two_hops.home.cli("config", "set", "relay.timeout", "2s")
    two_hops.bad.set(MAIL=Silence())
    send(two_hops.home.smtp, message(), to="b@bad.example")
    assert two_hops.home.wait_state("b@bad.example", "deferred")["cause"]["id"] == "peer.timeout"


def test_D6_recipients_have_their_own_outcome(two_hops):
    two_hops.bad.replies.update({"RCPT no@bad.example": NO_SUCH,
                                 "RCPT later@bad.example": "450 4.2.0 later"})
    to = ["yes@bad.example", "no@bad.example", "later@bad.example"]
    reply = send(two_hops.home.smtp, message(), to=to)
    bounce(two_hops.hop)
    states = {one["address"]: one["state"] for one in two_hops.home.trace("no@bad.example")["recipients"]}
    assert states["yes@bad.example"] == "delivered" and states["no@bad.example"] == "bounced"
    assert states["later@bad.example"] in ("deferred", "ready", "active"), reply
    two_hops.bad.replies.clear()
    two_hops.home.wait_queue_empty()
    assert [m.recipients for m in two_hops.bad.messages] == [["yes@bad.example"], ["later@bad.example"]]


def test_D6_null_sender_never_bounces(two_hops):
    two_hops.bad.set(RCPT=NO_SUCH)
    send(two_hops.home.smtp, message(), sender="", to="gone@bad.example")
    two_hops.home.wait_state("gone@bad.example", "bounced")
    two_hops.home.wait_queue_empty()
    assert two_hops.hop.messages == []


def test_D6_give_up_time(two_hops):
    two_hops.home.cli("config", "set", "queue.give_up", "3s")
    two_hops.bad.set(RCPT="450 4.2.0 later")
    send(two_hops.home.smtp, message(), to="b@bad.example")
    two_hops.home.wait_state("b@bad.example", "expired")
    _, plain, (_, per_recipient) = bounce(two_hops.hop)
    assert per_recipient["Status"].startswith("4.") or per_recipient["Status"].startswith("5.4.7")
    assert "later" in plain


def test_D6_notify_never_is_kept(two_hops):
    two_hops.bad.set(RCPT=NO_SUCH)
    with Raw(two_hops.home.smtp) as client:
        client.hello()
        client.say("MAIL FROM:<a@client.example>")
        assert client.say("RCPT TO:<gone@bad.example> NOTIFY=NEVER").startswith("250")
        client.say("DATA")
        assert client.say("Subject: x\r\n\r\nx\r\n.").startswith("250")
    two_hops.home.wait_state("gone@bad.example", "bounced")
    two_hops.home.wait_queue_empty()
    assert two_hops.hop.messages == []
