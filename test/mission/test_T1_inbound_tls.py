"""T1: SMTP TLS off, available (announce STARTTLS), required (no mail without TLS). On the wire."""

import pytest
from smtpclient import Raw


@pytest.mark.parametrize("listener, key", [("smtp", "smtp.tls"), ("submission", "submission.tls")])
def test_T1_three_states_live(home, listener, key):
    for level in ("required", "available", "off", "required"):
        home.cli("config", "set", key, level)
        with Raw(getattr(home, listener)) as client:
            offered = "STARTTLS" in client.hello()
            assert offered == (level != "off")
            reply = client.say("MAIL FROM:<a@client.example>")
            assert reply.startswith("530 5.7.0" if level == "required" else "250 2.1.0"), reply
            if offered:
                client.say("RSET")
                assert client.say("STARTTLS").startswith("220")
                client.start_tls()
                assert "STARTTLS" not in client.ehlo()
                assert client.say("MAIL FROM:<a@client.example>").startswith("250 2.1.0")


def test_T1_open_sessions_keep_what_they_began_with(home):
    with Raw(home.smtp) as client:
        client.hello()
        home.cli("config", "set", "smtp.tls", "required")
        assert client.say("MAIL FROM:<a@client.example>").startswith("250")


def test_T1_a_wrong_value_is_refused_and_changes_nothing(home):
    home.cli("config", "set", "smtp.tls", "required")
    said = home.refused("config", "set", "smtp.tls", "yes")
    assert "off" in said and "available" in said and "required" in said
    with Raw(home.smtp) as client:
        client.hello()
        assert client.say("MAIL FROM:<a@client.example>").startswith("530 5.7.0")
