"""T4: incoming and outgoing TLS are switched separately: four combinations on the wire."""

import pytest
from smtpclient import Raw, message, send


@pytest.mark.parametrize("inbound", ["off", "available"])
@pytest.mark.parametrize("outbound", ["off", "may"])
def test_T4_four_combinations(new_home, new_hop, pki, inbound, outbound):
    hop = new_hop(certificate=pki.certificate("good"))
    home = new_home(smtp_tls=inbound, relay_tls=outbound)
    home.cli("connector", "add", "hop", f"localhost:{hop.port}", "--for", "*")
    home.serve()
    with Raw(home.smtp) as client:
        assert ("STARTTLS" in client.hello()) == (inbound == "available")
    send(home.smtp, message(), tls="starttls" if inbound == "available" else None)
    session = hop.wait(1)[0].session
    assert (session.tls is not None) == (outbound == "may")
    assert ("STARTTLS" in session.commands) == (outbound == "may")
