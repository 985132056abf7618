"""J5: find why a message is not relayed: 1 step, without reproducing it.
J9: retry stuck mail for one next hop: 1 step. Steps are counted."""

import pytest
from smtpclient import message, send


class Counted:
    """The command line, counting what an administrator types."""

    def __init__(self, home):
        self.home, self.steps = home, 0

    def type(self, line):
        self.steps += 1
        words = line.split()
        assert words[0] == "letterlock"
        return self.home.cli(*words[1:])


@pytest.mark.parametrize("known", ["id", "address", "domain", "bare id"])
def test_J5_one_command_tells_why(road, pki, known):
    road.hop.use(pki.certificate("expired"))
    send(road.home.smtp, message(message_id="<j5@client.example>"))
    road.home.wait_state("b@example.org", "deferred")
    what = {"id": "<j5@client.example>", "bare id": "j5@client.example", "address": "b@example.org",
            "domain": "example.org"}[known]
    admin = Counted(road.home)
    told = admin.type(f"letterlock trace {what}")
    assert admin.steps == 1
    # What happened, whose fault, where, next step; with the dialogue and the TLS facts.
    for word in ("tls.expired", "expired", "them", "connector hop", f"127.0.0.1:{road.hop.port}", "STARTTLS",
                 "TLSv1.3", "next"):
        assert word in told, (word, told)
    assert road.home.cli_json("trace", what)["cause"]["id"] == "tls.expired"
    assert road.home.cli_json("trace", what)["cause"]["owner"] == "them"


def test_J5_exit_status_tells(road):
    assert "nothing is known" in road.home.refused("trace", "nobody@nowhere.example")
    road.home.refused("trace", status=2)


def test_J9_one_command_retries(road):
    road.hop.set(MAIL="451 4.3.0 not now")
    for i in range(5):
        send(road.home.smtp, message(mark=i))
    for i in range(5):
        road.home.wait_state("b@example.org", "deferred")
    road.hop.set(MAIL=None)
    admin = Counted(road.home)
    admin.type("letterlock queue retry --connector hop")
    assert admin.steps == 1
    assert sorted(m.queue_marks[0] for m in road.hop.wait(5)) == list("01234")
    road.home.wait_queue_empty()
