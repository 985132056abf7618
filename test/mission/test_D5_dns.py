"""D5: MX lookup, address fallback, and the resolver's answers: NXDOMAIN, SERVFAIL, time-out, no MX,
null MX, each visible per attempt with server and rcode."""

import pytest
from dnsstub import NXDOMAIN, REFUSED, SERVFAIL, SILENT, DnsStub
from nexthop import NextHop
from smtpclient import message, send


@pytest.fixture
def resolving(new_home, new_hop, dns):
    """A home that resolves by the stub and dials the next hop's port instead of 25."""

    class Resolving:
        hop = new_hop()
        home = new_home(dns_servers=dns.server, relay_port=str(hop.port), relay_tls="off",
                        dns_timeout="3s", relay_connect_timeout="3s").serve()

    Resolving.dns = dns
    return Resolving


def events(home, what, kind):
    """Texts of this kind in the records of delivery attempts."""
    return [event["text"] for record in home.trace(what)["records"] if record["kind"] == "attempt"
            for event in record.get("events", []) if event["kind"] == kind]


def test_D5_mx_by_preference(resolving):
    resolving.dns.put({("two.example", "MX"): [(20, "second.two.example"), (10, "first.two.example")],
                       ("first.two.example", "A"): ["127.0.0.1"],
                       ("second.two.example", "A"): ["127.0.0.9"]})
    send(resolving.home.smtp, message(), to="b@two.example")
    done = resolving.home.wait_state("b@two.example", "delivered")
    assert done["last"]["host"] == "first.two.example"
    told = " ".join(events(resolving.home, "b@two.example", "dns"))
    assert "first.two.example" in told and "second.two.example" in told
    assert resolving.dns.server in told and "NOERROR" in told


def test_D5_next_mx_when_the_first_is_down(resolving):
    resolving.dns.put({("down.example", "MX"): [(10, "first.down.example"), (20, "second.down.example")],
                       ("first.down.example", "A"): ["127.0.0.9"],  # nobody listens there
                       ("second.down.example", "A"): ["127.0.0.1"]})
    send(resolving.home.smtp, message(), to="b@down.example")
    done = resolving.home.wait_state("b@down.example", "delivered")
    assert done["last"]["host"] == "second.down.example"
    assert any("127.0.0.9" in text for kind in ("connect", "error", "note")
               for text in events(resolving.home, "b@down.example", kind))


def test_D5_address_fallback(resolving):
    """No MX: "use the domain name to relay" (RFC 5321 5.1)."""
    resolving.dns.put({("plain.example", "A"): ["127.0.0.1"]})
    send(resolving.home.smtp, message(), to="b@plain.example")
    done = resolving.home.wait_state("b@plain.example", "delivered")
    assert done["last"]["host"] == "plain.example"
    assert ("plain.example", "MX") in resolving.dns.queries


def test_D5_ipv6(new_home, dns):
    try:
        hop = NextHop(address="::1").start()
    except OSError:
        pytest.skip("no IPv6 on loopback")
    try:
        home = new_home(dns_servers=dns.server, relay_port=str(hop.port), relay_tls="off").serve()
        dns.put({("six.example", "MX"): [(10, "mx.six.example")], ("mx.six.example", "AAAA"): ["::1"]})
        send(home.smtp, message(), to="b@six.example")
        assert "::1" in home.wait_state("b@six.example", "delivered")["last"]["address"]
    finally:
        hop.stop()


@pytest.mark.parametrize("answer, state, cause, rcode", [
    (NXDOMAIN, "bounced", "dns.no-domain", "NXDOMAIN"),
    (SERVFAIL, "deferred", "dns.server-failed", "SERVFAIL"),
    (REFUSED, "deferred", "dns.server-failed", None),
    (SILENT, "deferred", "dns.timeout", None),
])
def test_D5_failures(resolving, answer, state, cause, rcode):
    domain = f"{answer.lower()}.example"
    resolving.dns.put({(domain, "*"): answer})
    send(resolving.home.smtp, message(), sender="", to=f"b@{domain}")
    one = resolving.home.wait_state(f"b@{domain}", state)
    assert one["cause"]["id"] == cause
    told = " ".join(events(resolving.home, f"b@{domain}", "dns"))
    assert domain in told and resolving.dns.server in told
    assert rcode is None or rcode in told
    assert resolving.hop.messages == []


def test_D5_null_mx(resolving):
    resolving.dns.put({("null.example", "MX"): [(0, ".")], ("null.example", "A"): ["127.0.0.1"]})
    send(resolving.home.smtp, message(), sender="", to="b@null.example")
    one = resolving.home.wait_state("b@null.example", "bounced")
    assert one["cause"]["id"] == "dns.null-mx"
    assert resolving.hop.messages == []


def test_D5_domain_without_any_address(resolving):
    resolving.dns.put({("empty.example", "TXT"): ["there is a domain"]})
    send(resolving.home.smtp, message(), sender="", to="b@empty.example")
    one = resolving.home.wait_state("b@empty.example", "bounced")
    assert one["cause"]["id"] == "dns.no-address"


def test_D5_literal(resolving):
    send(resolving.home.smtp, message(), to="b@[127.0.0.1]")
    resolving.home.wait_state("b@[127.0.0.1]", "delivered")
    assert not [query for query in resolving.dns.queries if "127" in query[0]]


def test_D5_loop_to_ourselves(resolving):
    """The best MX is this host: mail would run in a circle."""
    home = resolving.home
    resolving.dns.put({("own.example", "MX"): [(10, home.hostname)], (home.hostname, "A"): ["127.0.0.1"]})
    send(home.smtp, message(), sender="", to="b@own.example")
    one = home.wait_state("b@own.example", "bounced")
    assert one["cause"]["id"] == "route.loop"


def test_D5_servers_change_live(resolving):
    with DnsStub({("late.example", "A"): ["127.0.0.1"]}) as other:
        resolving.home.cli("config", "set", "dns.servers", other.server)
        send(resolving.home.smtp, message(), to="b@late.example")
        resolving.home.wait_state("b@late.example", "delivered")
        assert not [query for query in resolving.dns.queries if query[0] == "late.example"]
