"""T6, T7: chain, date and name are judged apart. A next hop with an untrusted, an expired, a
wrong-name and a good certificate: three causes and one delivery; delivered at may, deferred at
verify, except the good one."""

import pytest
from smtpclient import message, send

CAUSES = {
    "untrusted": "tls.untrusted-root",
    "expired": "tls.expired",
    "not-yet-valid": "tls.not-yet-valid",
    "wrong-name": "tls.name-mismatch",
    "missing-intermediate": "tls.incomplete-chain",
    "good": None,
    "intermediate": None,
}


@pytest.fixture
def send_to(new_home, new_hop, pki):
    """send_to(kind, level): a message to a next hop with that certificate; returns both ends."""

    def go(kind, level):
        hop = new_hop(certificate=pki.certificate(kind))
        home = new_home()
        home.cli("connector", "add", "hop", f"localhost:{hop.port}", "--tls", level, "--trust",
                 pki.root.pem)
        home.serve()
        send(home.smtp, message())
        return home, hop

    return go


@pytest.mark.parametrize("kind", CAUSES)
def test_T7_verify(send_to, kind):
    home, hop = send_to(kind, "verify")
    cause = CAUSES[kind]
    if cause is None:
        assert "verified" in home.wait_state("b@example.org", "delivered")["last"]["tls"]
        assert len(hop.messages) == 1
        return
    waiting = home.wait_state("b@example.org", "deferred")
    assert waiting["cause"]["id"] == cause
    assert waiting["cause"]["owner"] in ("us", "them")
    assert waiting["next_try"]
    assert hop.messages == []
    # Nothing of the message or its envelope was said over such a connection.
    assert not [line for s in hop.sessions for line in s.commands if line.startswith("MAIL")]


@pytest.mark.parametrize("kind", CAUSES)
@pytest.mark.parametrize("level", ["may", "encrypt"])
def test_T7_may_and_encrypt_take_any_certificate(send_to, kind, level):
    home, hop = send_to(kind, level)
    home.wait_state("b@example.org", "delivered")
    assert hop.messages[0].session.tls is not None


def test_T7_trace_shows_the_chain_and_the_verdict(send_to, pki):
    home, _ = send_to("untrusted", "verify")
    home.wait_state("b@example.org", "deferred")
    told = home.cli("trace", "b@example.org")
    assert "tls.untrusted-root" in told
    assert "Unknown Root" in told  # who issued it
    assert "STARTTLS" in told


@pytest.mark.parametrize("name, certificate_for, passes", [
    ("mail.partner.example", "mail.partner.example", True),
    ("mail.partner.example", "*.partner.example", True),
    ("a.mail.partner.example", "*.partner.example", False),  # a wildcard is one label
    ("partner.example", "*.partner.example", False),
    ("mail.partner.example", "mail.partner.example.evil.example", False),
])
def test_T6_names(new_home, new_hop, pki, name, certificate_for, passes):
    made = pki.root.issue(certificate_for)
    hop = new_hop(certificate=made)
    home = new_home()
    home.cli("connector", "add", "hop", f"127.0.0.1:{hop.port}", "--tls", "verify", "--trust",
             pki.root.pem, "--sni", name)
    home.serve()
    send(home.smtp, message())
    if passes:
        home.wait_state("b@example.org", "delivered")
        assert hop.messages[0].session.sni == name
    else:
        waiting = home.wait_state("b@example.org", "deferred")
        assert waiting["cause"]["id"] == "tls.name-mismatch"


def test_T7_no_starttls_offered(new_home, new_hop):
    hop = new_hop()
    home = new_home()
    for level, state in (("verify", "deferred"), ("encrypt", "deferred"), ("may", "delivered")):
        home.cli("connector", "add", level, f"localhost:{hop.port}", "--for", f"{level}.example",
                 "--tls", level)
    home.serve()
    for level, state in (("verify", "deferred"), ("encrypt", "deferred"), ("may", "delivered")):
        send(home.smtp, message(), to=f"b@{level}.example")
        one = home.wait_state(f"b@{level}.example", state)
        if state == "deferred":
            assert one["cause"]["id"] == "tls.not-offered"


def test_T7_may_delivers_in_clear_after_a_failed_handshake(new_home, new_hop, pki):
    """The peer's TLS is broken: at may the next connection goes in clear, and the record says so;
    at encrypt it waits."""
    hop = new_hop(certificate=pki.certificate("good"))
    hop.wrap = broken_handshake
    home = new_home()
    for level in ("may", "encrypt"):
        home.cli("connector", "add", level, f"localhost:{hop.port}", "--for", f"{level}.example",
                 "--tls", level)
    home.serve()
    send(home.smtp, message(), to="b@may.example")
    home.wait_state("b@may.example", "delivered")
    assert hop.messages[0].session.tls is None
    send(home.smtp, message(), to="b@encrypt.example")
    assert home.wait_state("b@encrypt.example", "deferred")["cause"]["id"] == "tls.handshake"
    assert len(hop.messages) == 1


def broken_handshake(sock, session):
    sock.recv(1)
    sock.sendall(b"no TLS here\r\n")
    raise OSError("broken on purpose")


def test_T7_trust_is_per_connector(new_home, new_hop, pki):
    """An anchor given to one connector does not vouch for another's host."""
    hop = new_hop(certificate=pki.certificate("good"))
    home = new_home()
    home.cli("connector", "add", "with", f"localhost:{hop.port}", "--for", "with.example", "--tls",
             "verify", "--trust", pki.root.pem)
    home.cli("connector", "add", "without", f"localhost:{hop.port}", "--for", "without.example",
             "--tls", "verify")
    home.serve()
    send(home.smtp, message(), to="b@with.example")
    home.wait_state("b@with.example", "delivered")
    send(home.smtp, message(), to="b@without.example")
    waiting = home.wait_state("b@without.example", "deferred")
    assert waiting["cause"]["id"] == "tls.untrusted-root"
    assert len(hop.messages) == 1
