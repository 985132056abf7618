"""Slow and idle clients are shut in time and cost little; floods of connections buy no disk writes."""

import re
import resource
import statistics
import subprocess
import sys
import time

import pytest

from letterlock import ROOT, Home, until
from smtpclient import Raw

SLOW = [sys.executable, ROOT / "bench" / "slow_clients"]
KINDS = ("silent", "command", "data", "handshake", "deaf")


def crowd(home, count, seconds, every):
    """A crowd of slow clients at work; "ready" was read."""
    process = subprocess.Popen(
        [*SLOW, "--count", str(count), "--seconds", str(seconds), "--every", str(every),
         str(home.smtp)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    assert first == "ready\n", first + process.stdout.read()
    return process


def told(process):
    """What it saw: {kind: (shut, of, longest in s or None)}."""
    text = process.stdout.read()
    process.wait(10)
    found = re.findall(r"^(\w+): (\d+) of (\d+) shut(?: after [\d.]+ to ([\d.]+) s)?", text, re.M)
    assert len(found) == len(KINDS), text
    return {kind: (int(shut), int(of), float(longest) if longest else None)
            for kind, shut, of, longest in found}


def test_slow_clients_are_shut_in_time(tmp_path):
    """Each kind on its own terms: a byte now and then renews nothing."""
    with Home(tmp_path / "home", settings={
            "smtp.timeout": "1500ms", "smtp.line_timeout": "1s", "smtp.data_timeout": "1s",
            "smtp.data_rate": "1000"}) as home:
        home.cli("domain", "add", "example.org", "--route", "127.0.0.1:9")
        saw = told(crowd(home, 25, 12, 0.1))
        for kind, (shut, of, longest) in saw.items():
            assert shut == of == 5, saw
            assert longest < 6, saw
        assert not home.queue(), "half a message is none"
        until(lambda: sum(" smtp.close " in line for line in home.log()) == 25, "all are closed")


def written(pid):
    """Bytes that a process has had written to disk."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(re.search(r"^write_bytes: (\d+)", file.read(), re.M)[1])


def test_floods_of_connections_buy_no_disk_writes(tmp_path):
    """20,000 of them; those that are let in and those that are refused. What store writes, and the
    log, stays what it is without them."""
    with Home(tmp_path / "home", settings={"smtp.max_sessions_per_minute": "1000",
                                           "relay.networks": "127.0.0.5"}) as home:
        home.cli("domain", "add", "example.org", "--route", "127.0.0.1:9")
        time.sleep(1)
        before, lines = written(home.roles()["store"]), len(home.log())
        greetings = {"220": 0, "421": 0}
        for _ in range(20000):
            with Raw(home.smtp) as client:
                greetings[client.reply()[:3]] += 1
        assert greetings["421"] > 15000 and greetings["220"] >= 1000, greetings
        assert written(home.roles()["store"]) - before < 256 * 1024
        log = home.log()[lines:]
        assert len(log) < 1500, len(log)
        with Raw(home.smtp) as client:  # the time has come for a line, which tells of the others
            time.sleep(1)
            client.reply()
        with Raw(home.smtp) as client:
            client.reply()
        held = sum(int(line.rsplit("lines=", 1)[1].split()[0]) for line in home.log()
                   if " log.thinned event=smtp.refuse " in line)
        assert held > 14000, held


def rate(home):
    """Messages a second of 100 good senders, the median of three goes."""
    return statistics.median(blast(home, 1000) for _ in range(3))


def blast(home, count):
    """100 good senders; messages a second."""
    done = subprocess.run([ROOT / "build" / "bench" / "smtpblast", "-n", str(count), "-c", "100",
                           "-m", "20", "-s", "4096", "-T", "60", str(home.smtp)],
                          capture_output=True, text=True, timeout=120)
    for wrong in ("rej4", "rej5", "lost", "conn_err"):
        assert f" {wrong}=0" in done.stdout, done.stdout + done.stderr
    return float(re.search(r" rate=([\d.]+)", done.stdout)[1])


@pytest.mark.slow
def test_ten_thousand_slow_clients_beside_a_hundred_good_senders(tmp_path):
    """The good ones get their work done beside the crowd, and none is refused. Other loads of the
    machine swing their rate by half, so only what would be a real burden fails here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(10000, (hard - 1000) // 2)
    with Home(tmp_path / "home", settings={
            "smtp.max_sessions": "30000", "smtp.max_sessions_per_address": "1000"}) as home:
        home.cli("domain", "add", "example.org", "--route", "127.0.0.1:9")
        home.cli("domain", "add", "example.net", "--route", "127.0.0.1:9")
        home.cli("service", "stop", "relay")
        blast(home, 1000)
        alone = rate(home)
        process = crowd(home, count, 600, 30)
        blast(home, 1000)  # meanwhile the crowd gets the answers to all it said at once
        beside = rate(home)
        print(f"alone {alone:.0f}, beside {count} slow clients {beside:.0f} messages a second")
        process.stdin.close()
        told(process)
        assert beside > alone / 4, (alone, beside)
        home.look_for_findings()
