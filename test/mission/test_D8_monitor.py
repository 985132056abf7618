"""D8: the live monitor: what is not relayed yet is on the screen within a second, with cause and next
try; rates, sessions, next hops, the health of all processes. `fibers`: what each process is at."""

import json
import os
import re
import signal
import subprocess
import termios
import time

import pytest
from letterlock import until
from smtpclient import Raw, message, queue_id, send
from terminal import Terminal

LATER = "450 4.2.0 not yet"


@pytest.fixture
def stuck(road):
    road.hop.set(RCPT=LATER)
    return road


def monitor(home, **size):
    return Terminal([home.program, "monitor"], home.env, **size)


def look(home):
    return home.cli_json("monitor", "--once")


def test_D8_a_new_one_is_on_the_screen_within_a_second(stuck):
    with monitor(stuck.home) as screen:
        screen.until(lambda text: "QUEUE  empty" in text)
        assert screen.alternate and screen.cursor_hidden
        id = queue_id(send(stuck.home.smtp, message()))
        accepted = time.monotonic()
        screen.until(lambda text: re.search(
            f"message {id} not relayed yet: reply\\.temporary, next try in \\d+[ms]: b@", text))
        # The attempt takes part of the second; under sanitizers all is slow.
        assert time.monotonic() - accepted < 3
        text = screen.until(lambda text: re.search("connector hop +0 +0 +1 +0 ", text) and text)
        assert re.search(r" 1  reply\.temporary \(them\)", text)
        assert "QUEUE  1 message; recipients: 0 ready, 0 at work, 1 deferred, 0 held" in text
        # What is relayed is gone from the picture.
        stuck.hop.set(RCPT=None)
        stuck.home.cli("queue", "retry", "--all")
        screen.until(lambda text: "QUEUE  empty" in text and id not in text)


def test_D8_the_terminal_is_given_back(road):
    with monitor(road.home) as screen:
        screen.until(lambda text: "PROCESSES" in text)
        assert not termios.tcgetattr(screen.fd)[3] & (termios.ICANON | termios.ECHO)
        screen.press("xq")
        assert screen.wait() == 0
        assert not screen.alternate and not screen.cursor_hidden
        assert termios.tcgetattr(screen.fd) == screen.before
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with monitor(road.home) as screen:
            screen.until(lambda text: "PROCESSES" in text)
            os.kill(screen.pid, signo)
            status = screen.wait()
            assert status == (0 if signo == signal.SIGINT else signo)
            assert not screen.alternate and not screen.cursor_hidden
            assert termios.tcgetattr(screen.fd) == screen.before


def test_D8_it_fits_the_terminal(stuck):
    """The terminal of the test fails when something is written beyond its edges."""
    for i in range(30):
        send(stuck.home.smtp, message(), to=f"b{i}@example.org")
    with monitor(stuck.home) as screen:
        screen.until(lambda text: text.count("not relayed yet: ") >= 3)
        screen.resize(140, 50)
        screen.until(lambda text: text.count(LATER) >= 20)
        screen.resize(40, 10)
        screen.until(lambda text: "accepted" in text)
        screen.resize(80, 24)
        screen.until(lambda text: text.count("not relayed yet: ") >= 3)


def test_D8_the_daemon_may_come_and_go(road):
    with monitor(road.home) as screen:
        screen.until(lambda text: "PROCESSES" in text)
        road.home.stop()
        screen.until(lambda text: "! no news: letterlock is not running" in text)
        road.home.serve()
        screen.until(lambda text: "no news" not in text and "PROCESSES" in text, timeout=30)
        screen.press("q")
        assert screen.wait() == 0
    road.home.stop()
    assert "is not running" in road.home.refused("monitor")


def test_D8_numbers(stuck):
    home = stuck.home
    idle = [Raw(home.smtp) for _ in range(3)]
    for one in idle:
        one.hello()
    secret = Raw(home.submissions, implicit_tls=True)
    secret.hello()
    idle[0].say("NONSENSE")
    for reply, sender, state in ((LATER, "a@client.example", "deferred"),
                                 ("550 5.1.1 nobody", "", "bounced"),
                                 (None, "a@client.example", "delivered")):
        stuck.hop.set(RCPT=reply)
        home.wait_state(queue_id(send(home.smtp, message(), sender=sender)), state)

    def counted():
        now = look(home)
        rates = now["rates"]
        return (rates["accepted"]["total"] == 3 and rates["delivered"]["total"] == 1 and
                rates["deferred"]["total"] == 1 and rates["bounced"]["total"] == 1 and
                rates["accepted"]["1m"] == 3 and now)

    now = until(counted, "everything is counted")
    assert now["rates"]["refused"]["total"] == 1
    assert now["rates"]["bytes_in"]["total"] > now["rates"]["bytes_out"]["total"] > 100
    sessions = {one["listener"]: one for one in now["sessions"]}
    assert sessions["smtp"] == {"listener": "smtp", "open": 3, "idle": 3, "tls": 0}
    assert sessions["submissions"] == {"listener": "submissions", "open": 1, "idle": 1, "tls": 1}
    assert now["disk"]["size"] > now["disk"]["free"] > 0 and now["disk"]["full"] is False
    running = {one["role"] for one in now["roles"] if one["state"] == "running"}
    assert {one["role"] for one in now["processes"]} == running
    assert all(one["error"] is None and one["fibers"] >= 0 for one in now["processes"])
    plain = home.cli("monitor", "--once")
    assert re.search(r"accepted .* 3  +smtp +3 +3 +0\n", plain) and "\033" not in plain


def test_D8_without_a_terminal(stuck):
    """Lines for people, objects for programs; several watch at the same time."""
    home = stuck.home
    watchers = [subprocess.Popen([home.program, "monitor", *json_too], env=home.env, text=True,
                                 stdout=subprocess.PIPE)
                for json_too in ([], ["--json"], ["--json"], [])]
    try:
        first = [one.stdout.readline() for one in watchers]
        assert re.match(r"\S+Z accepted=0 delivered=0 deferred=0 .* queue=0\n", first[0])
        assert json.loads(first[1])["queue"]["messages"] == 0
        id = queue_id(send(home.smtp, message()))
        for one in (watchers[0], watchers[3]):
            lines = [one.stdout.readline() for _ in range(6)]
            told = [line for line in lines if f"message {id} not relayed yet: " in line]
            assert len(told) <= 3  # ready, then deferred; no second time while nothing happens
            assert "reply.temporary, next try in" in told[-1]
        assert any(r["id"] == id for _ in range(6)
                   for r in json.loads(watchers[2].stdout.readline())["waiting"])
    finally:
        for one in watchers:
            one.kill()
            one.wait()
            one.stdout.close()


def test_D8_a_role_that_hangs_is_seen(road):
    pid = road.home.roles()["user"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        now = look(road.home)
        assert time.monotonic() - began < 5
        errors = {one["role"]: one["error"] for one in now["processes"]}
        assert "did not answer" in errors.pop("user")
        assert set(errors.values()) == {None}
        assert "does not answer" in road.home.cli("monitor", "--once")
        assert "did not answer" in road.home.cli("fibers", "user")
    finally:
        os.kill(pid, signal.SIGCONT)


# ---- fibers


def test_fibers_of_every_role(road):
    home = road.home
    clients = [Raw(home.smtp) for _ in range(50)]
    for one in clients:
        one.hello()
    answer = home.cli_json("fibers")
    roles = {one["role"]: one for one in answer["roles"]}
    assert set(roles) == {*home.roles(), "serve"}
    for name, role in roles.items():
        listed = [f for f in answer["fibers"] if f["role"] == name]
        assert role["error"] is None and len(listed) == role["fibers"]
        assert {f["pid"] for f in listed} <= {role["pid"]}
    sessions = [f for f in answer["fibers"] if f["name"].startswith("smtp-")]
    assert len(sessions) == 50
    assert all(f["waits"].startswith("for ") and f["waiting_ms"] >= 0 and f["left_ms"] > 0
               for f in sessions)
    # Who answers is running.
    assert [f for f in answer["fibers"] if f["role"] == "keys" and f["waits"] == "running"]
    only = home.cli_json("fibers", "mx")
    assert {f["role"] for f in only["fibers"]} == {"mx"}
    plain = home.cli("fibers", "mx")
    assert plain.count("smtp-") == 50 and "the peer to speak" in plain
    assert re.search(r"^5\d fibers in 1 process$", plain, re.M)
    assert "no role nonsense runs" in home.refused("fibers", "nonsense")
    for one in clients:
        one.close()
