"""The command line's contract: exit 0 done, 1 refused or failed, 2 usage; --json everywhere; --home
before or behind the subcommand; what makes sense works while the daemon is down."""

import json

from smtpclient import message, send


def test_usage(home):
    for words in ((), ("nonsense",), ("queue",), ("queue", "nonsense"), ("config", "set"),
                  ("status", "--nonsense")):
        done = home.run(*words)
        assert done.returncode == 2, (words, done)
        assert "letterlock" in done.stdout + done.stderr, "says what is right"


def test_version_and_help(home):
    assert home.cli("version").strip()
    assert home.run("--help").returncode == 0
    assert home.run("help").returncode in (0, 2)


def test_home_before_or_behind(home):
    expected = home.cli("config", "get", "smtp.tls")
    for words in (("--home", home.folder, "config", "get", "smtp.tls"),
                  ("config", "get", "smtp.tls", "--home", home.folder)):
        assert home.cli(*words) == expected


def test_json_everywhere(road):
    send(road.home.smtp, message())
    road.home.wait_state("b@example.org", "delivered")
    for words in (("status",), ("version",), ("config", "list"), ("config", "get", "smtp.tls"),
                  ("domain", "list"), ("domain", "add", "json.example"), ("connector", "list"),
                  ("connector", "show", "hop"), ("queue", "list"), ("trace", "b@example.org"),
                  ("service", "list"), ("domain", "remove", "json.example")):
        json.loads(road.home.cli(*words, "--json"))
    done = road.home.run("config", "set", "smtp.tls", "nonsense", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout or done.stderr)["error"]["message"]


def test_works_while_down(new_home):
    home = new_home()
    home.cli("config", "set", "smtp.tls", "required")
    home.cli("domain", "add", "example.org", "--route", "127.0.0.1:2525")
    home.cli("connector", "add", "hop", "smtp.example:587", "--for", "*", "--tls", "verify")
    assert "required" in home.cli("config", "get", "smtp.tls")
    assert "example.org" in home.cli("domain", "list")
    assert "smtp.example" in home.cli("connector", "list")
    assert home.queue() == []
    home.refused("status")
    home.refused("domain", "remove", "not.there.example")


def test_settings_of_the_contract_exist(home):
    listed = {one["key"]: one for one in home.cli_json("config", "list")["settings"]}
    for key in ("listen.smtp", "listen.submission", "listen.submissions", "listen.https", "smtp.tls",
                "submission.tls", "relay.tls", "relay.networks", "relay.retry", "dns.servers",
                "dns.trust_anchor", "trust.store", "queue.give_up"):
        assert key in listed


def test_setup_twice_is_refused(home):
    home.refused("setup", "--hostname", "other.example")
