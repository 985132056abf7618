"""D7: the bounce carries what is needed to analyse: an RFC 3464 report that a mail program reads, and
plain words: which hop, which command, which reply, TLS state, last attempts."""

import email
from email import policy
from email.utils import parsedate_to_datetime

import pytest
from smtpclient import Raw, message, send

REFUSED = "550 5.1.1 <gone@bad.example>: no such mailbox"
POLICY = policy.default.clone(raise_on_defect=True)


@pytest.fixture
def two_hops(new_home, new_hop, pki):
    """Mail for bad.example goes to a next hop that refuses it, all other mail (bounces) to another."""

    class Two:
        bad = new_hop(certificate=pki.certificate("good"), replies={"RCPT": REFUSED})
        hop = new_hop(certificate=pki.certificate("good"))
        home = new_home(relay_retry="300ms")

    for name, end, domain in (("bad", Two.bad, "bad.example"), ("rest", Two.hop, "*")):
        Two.home.cli("connector", "add", name, f"localhost:{end.port}", "--for", domain, "--tls",
                     "verify", "--trust", pki.root.pem)
    Two.home.serve()
    return Two


def submit(home, content, *, mail="", rcpt="", to="gone@bad.example"):
    """Sends `content` (bytes) with these parameters of MAIL and RCPT."""
    with Raw(home.smtp) as client:
        client.hello()
        assert client.say(f"MAIL FROM:<a@client.example>{mail}").startswith("250")
        assert client.say(f"RCPT TO:<{to}>{rcpt}").startswith("250")
        assert client.say("DATA").startswith("354")
        client.put(content + b".\r\n")
        assert client.reply().startswith("250")


def bounce(hop):
    """The parts of the bounce that arrived: letter, words, fields of message and recipient, original.
    The parser raises on any defect."""
    data = hop.wait(1)[-1].data
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    letter = email.message_from_bytes(data, policy=POLICY)
    assert letter.get_content_type() == "multipart/report"
    assert letter.get_param("report-type") == "delivery-status"
    words, status, original = letter.iter_parts()
    for part in letter.walk():
        assert not part.defects
    assert status.get_content_type() == "message/delivery-status"
    per_message, *per_recipient = status.get_payload()
    return letter, words.get_content(), per_message, per_recipient, original


def test_D7_report_and_words(two_hops):
    submit(two_hops.home, message(message_id="<d7@client.example>"),
           mail=" RET=HDRS ENVID=QQ314", rcpt=" ORCPT=rfc822;old+2Bnews@client.example")
    letter, words, per_message, (one,), original = bounce(two_hops.hop)

    assert letter["From"].addresses[0].addr_spec == f"postmaster@{two_hops.home.hostname}"
    assert letter["To"] == "a@client.example" or letter["To"].addresses[0].addr_spec == "a@client.example"
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["Message-ID"].endswith(f"@{two_hops.home.hostname}>")
    assert parsedate_to_datetime(letter["Date"])

    trace = two_hops.home.trace("<d7@client.example>")
    assert per_message["X-Letterlock-Queue-ID"] == trace["id"]
    assert per_message["Original-Envelope-Id"] == "QQ314"
    assert per_message["Reporting-MTA"] == f"dns; {two_hops.home.hostname}"
    assert parsedate_to_datetime(per_message["Arrival-Date"])
    assert one["Original-Recipient"] == "rfc822;old+news@client.example"
    assert one["Final-Recipient"] == "rfc822; gone@bad.example"
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    assert one["Diagnostic-Code"] == f"smtp; {REFUSED}"
    assert one["Remote-MTA"] == "dns; localhost"
    assert parsedate_to_datetime(one["Last-Attempt-Date"])
    assert one["X-Letterlock-Cause"] == "reply.no-mailbox (owner: sender)"

    # Which recipient, hop, command, reply, TLS state, attempts, what to do, and where to look it up.
    for said in ("gone@bad.example", f"localhost (127.0.0.1:{two_hops.bad.port}) said at RCPT TO",
                 "550 5.1.1", "no such mailbox", "TLS: TLSv1.3", "Tried once", "What you can do",
                 trace["id"]):
        assert said in words

    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: test" in original.get_payload(decode=True).decode()
    assert "Received: " in original.get_payload(decode=True).decode()


def test_D7_whole_message_on_request(two_hops):
    content = "Subject: Grüße\r\nFrom: a@client.example\r\n\r\n.Punkt\r\nGrüße\r\n".encode()
    submit(two_hops.home, content.replace(b"\r\n.", b"\r\n.."), mail=" RET=FULL BODY=8BITMIME")
    data = two_hops.hop.wait(1)[-1].data
    assert content in data
    assert "BODY=8BITMIME" in two_hops.hop.messages[-1].mail_line
    letter = email.message_from_bytes(data)
    assert letter["Content-Transfer-Encoding"] == "8bit"
    assert [part.get_content_type() for part in letter.get_payload()] == [
        "text/plain", "message/delivery-status", "message/rfc822"]


def test_D7_8bit_headers_come_back_readable(two_hops):
    submit(two_hops.home, "Subject: Grüße\r\nFrom: Jürg <a@client.example>\r\n\r\nx\r\n".encode())
    *_, original = bounce(two_hops.hop)
    assert original["Content-Transfer-Encoding"] == "quoted-printable"
    assert "From: Jürg <a@client.example>" in original.get_payload(decode=True).decode()
    assert "BODY=8BITMIME" not in two_hops.hop.messages[-1].mail_line


def test_D7_all_that_was_tried(two_hops):
    """Given up after several attempts: how often, over how long, the last reply."""
    two_hops.bad.set(RCPT="452 4.2.2 mailbox full")
    two_hops.home.cli("config", "set", "queue.give_up", "2s")
    send(two_hops.home.smtp, message(), to="full@bad.example")
    _, words, _, (one,), _ = bounce(two_hops.hop)
    assert one["Status"] == "4.2.2" and one["Action"] == "failed"
    assert one["Diagnostic-Code"] == "smtp; 452 4.2.2 mailbox full"
    assert one["X-Letterlock-Cause"].startswith("reply.mailbox-full ")
    assert "Tried " in words and " times over " in words
    assert "The recipient's mailbox is full." in words


def test_D7_no_connection(two_hops):
    """Nobody listens: the bounce names host and port, and claims neither TLS nor clear text."""
    two_hops.bad.stop()
    two_hops.home.cli("config", "set", "queue.give_up", "1s")
    send(two_hops.home.smtp, message(), to="b@bad.example")
    _, words, _, (one,), _ = bounce(two_hops.hop)
    assert one["Status"].endswith(".4.1")
    assert one["X-Letterlock-Cause"] == "connect.refused (owner: them)"
    assert f":{two_hops.bad.port}" in words
    assert "TLS:" not in words


def test_D7_success_is_told_where_the_next_hop_cannot(two_hops):
    """NOTIFY=SUCCESS: a next hop that knows DSN is asked; of one that does not, we say that the
    message was handed to it and that nothing more will be heard (RFC 3461 5.2.2)."""
    two_hops.bad.set(RCPT=None)
    submit(two_hops.home, message(), rcpt=" NOTIFY=SUCCESS", to="known@bad.example")
    assert two_hops.bad.wait(1)[0].rcpt_lines == ["RCPT TO:<known@bad.example> NOTIFY=SUCCESS"]
    two_hops.home.wait_queue_empty()
    assert two_hops.hop.messages == []

    two_hops.bad.extensions = ("PIPELINING", "8BITMIME")
    two_hops.home.set(relay_idle="1s")  # new settings, new connections
    submit(two_hops.home, message(), mail=" RET=FULL", rcpt=" NOTIFY=SUCCESS", to="b@bad.example")
    _, words, _, (one,), original = bounce(two_hops.hop)
    assert (one["Final-Recipient"], one["Action"]) == ("rfc822; b@bad.example", "relayed")
    assert one["Status"].startswith("2.")
    assert "Handed to localhost" in words
    # RET speaks of failures only (RFC 3461 4.3).
    assert original.get_content_type() == "text/rfc822-headers"
    assert two_hops.home.recipient("b@bad.example")["state"] == "delivered"

    submit(two_hops.home, message(), to="nobody-asks@bad.example")
    two_hops.home.wait_queue_empty()
    assert len(two_hops.hop.messages) == 1
