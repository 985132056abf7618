"""X8: limits of connections per address, in all and per minute, counted across the processes that share
the listening sockets; and those processes: started and ended live, replaced when they die or hang."""

import os
import signal
import socket
import time

import pytest

from letterlock import Home, alive, until
from smtpclient import Raw, message

MANY = 4


def connect(home, source="127.0.0.1", port=None):
    """A connection from `source`, and the first line it hears."""
    sock = socket.create_connection(("127.0.0.1", port or home.smtp), 20, (source, 0))
    greeting = sock.recv(512).decode()
    return sock, greeting


def connect_many(home, count, source="127.0.0.1"):
    """`count` connections; those that were let in, and what the others heard."""
    kept, refused = [], []
    for _ in range(count):
        sock, greeting = connect(home, source)
        if greeting.startswith("220"):
            kept.append(sock)
        else:
            refused.append(greeting)
            sock.close()
    return kept, refused


def processes(home, group="mx"):
    """The pids of a group's processes that run."""
    return sorted(pid for name, pid in home.roles().items()
                  if name == group or name.startswith(group + "-"))


def wait_processes(home, count, group="mx"):
    def there():
        pids = processes(home, group)
        return len(pids) == count and pids

    return until(there, f"{count} processes of {group}")


@pytest.fixture(name="home")
def made(tmp_path):
    with Home(tmp_path / "home", settings={"smtp.processes": str(MANY)}) as home:
        home.cli("domain", "add", "example.org", "--route", "127.0.0.1:9")
        yield home


def close_all(socks):
    for sock in socks:
        sock.close()


def test_limits_hold_across_processes(home):
    """A limit is one number for the whole group, whichever process takes a connection."""
    assert len(processes(home)) == len(processes(home, "user")) == MANY
    home.set(smtp_max_sessions_per_address="10")
    kept, refused = connect_many(home, 40)
    assert len(kept) == 10 and len(refused) == 30, refused[:1]
    assert all(line.startswith("421 4.7.0 Too many connections from your") for line in refused)
    more, refused = connect_many(home, 10, "127.0.0.2")
    assert len(more) == 10 and not refused, "another address has its own count"

    home.set(smtp_max_sessions="25")
    last, refused = connect_many(home, 10, "127.0.0.3")
    assert len(last) == 5, refused
    assert all(line.startswith("421 4.7.0 Too many connections, ") for line in refused)
    close_all(kept + more + last)

    def all_free():
        socks, told = connect_many(home, 10)
        close_all(socks)
        return not told

    until(all_free, "what was closed counts no more")


def test_what_a_dead_process_counted_is_given_back(home):
    home.set(smtp_max_sessions="12")
    kept, refused = connect_many(home, 20)
    assert len(kept) == 12
    before = processes(home)
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def all_new():
        now = processes(home)
        return len(now) == MANY and not set(now) & set(before)

    until(all_new, "four new processes")
    close_all(kept)
    kept, refused = connect_many(home, 20)
    assert len(kept) == 12 and len(refused) == 8
    close_all(kept)


def test_a_dead_process_strands_nothing(home):
    """What waits in the queue of the shared socket is taken by those that live."""
    first, *others = processes(home)
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    os.kill(first, signal.SIGSTOP)
    waiting = [socket.create_connection(("127.0.0.1", home.smtp), 20) for _ in range(20)]
    os.kill(first, signal.SIGKILL)
    for pid in others:
        os.kill(pid, signal.SIGCONT)
    for sock in waiting:
        assert sock.recv(512).startswith(b"220")
        sock.close()


def test_processes_change_live(home):
    """More and fewer processes; no session ends by it, and each goes on to its 250."""
    sessions = []
    for _ in range(40):
        client = Raw(home.smtp, timeout=20)
        assert client.reply().startswith("220")
        client.put("EHLO client.example\r\n")
        assert "250 " in client.reply()
        sessions.append(client)
    home.set(smtp_processes="1")
    listed = {one["role"]: one["state"] for one in home.cli_json("service", "list")["roles"]}
    assert listed["mx"] == "running"
    assert "finishing" in listed.values(), "sessions keep their process"
    assert "finishing" not in str(home.cli_json("status")["degraded"]), "that is as it should be"
    home.set(smtp_processes="2")
    home.set(smtp_processes="1")
    for number, client in enumerate(sessions):
        assert client.say("MAIL FROM:<a@client.example>").startswith("250"), number
        assert client.say("RCPT TO:<b@example.org>").startswith("250")
        assert client.say("DATA").startswith("354")
        client.put(message(mark=f"live-{number}") + b".\r\n")
        assert client.reply().startswith("250")
        assert client.say("QUIT").startswith("221")
    wait_processes(home, 1)
    assert not any(" serve.kill " in line for line in home.log())
    with Raw(home.smtp) as client:
        assert client.reply().startswith("220")


def test_service_stop_holds_for_all_processes(home):
    home.cli("service", "stop", "mx")
    assert not processes(home) and len(processes(home, "user")) == MANY
    with pytest.raises(ConnectionRefusedError):
        connect(home)
    home.cli("service", "start", "mx")
    wait_processes(home, MANY)
    assert connect(home)[1].startswith("220")


def test_new_sessions_per_minute(home):
    """Of an address outside relay.networks; the others are ours."""
    home.set(smtp_max_sessions_per_minute="15", relay_networks="127.0.0.5")
    heard = [connect(home)[1] for _ in range(30)]
    assert sum(one.startswith("220") for one in heard) == 15
    assert heard[-1].startswith("421 4.7.0 Too many new connections from your address")
    ours = [connect(home, "127.0.0.5")[1] for _ in range(30)]
    assert all(one.startswith("220") for one in ours)


@pytest.mark.parametrize("limit,value", [("smtp.max_messages", 3),
                                         ("smtp.max_session_recipients", 6)])
def test_messages_of_a_session(home, limit, value):
    """The limit closes between messages, never in one."""
    home.cli("config", "set", limit, str(value))
    with Raw(home.smtp) as client:
        assert client.reply().startswith("220")
        client.put("EHLO client.example\r\n")
        client.reply()
        for number in range(3):
            assert client.say("MAIL FROM:<a@client.example>").startswith("250"), number
            for one in "bc":
                assert client.say(f"RCPT TO:<{one}@example.org>").startswith("250")
            assert client.say("DATA").startswith("354")
            client.put(message(mark=f"m-{number}") + b".\r\n")
            assert client.reply().startswith("250")
        assert client.say("MAIL FROM:<a@client.example>").startswith("421 4.7.0")
        assert client.reply() == ""


def test_roles_that_hang_are_replaced(tmp_path):
    """All at once, even."""
    with Home(tmp_path / "home", settings={"serve.patience": "1s"}) as home:
        hung = {name: pid for name, pid in home.roles().items() if name != "control"}
        assert set(hung) == {"store", "keys", "relay", "mx", "user"}
        for pid in hung.values():
            os.kill(pid, signal.SIGSTOP)
        until(lambda: not any(alive(pid) for pid in hung.values()), "all are ended")
        for role, pid in hung.items():
            home.wait_role(role, not_pid=pid)
            assert any(f" serve.hangs role={role} pid={pid} " in line for line in home.log())
        assert connect(home)[1].startswith("220")


def test_a_role_at_work_is_not_taken_for_one_that_hangs(tmp_path):
    with Home(tmp_path / "home", settings={"serve.patience": "500ms"}) as home:
        before = home.roles()
        until_time = time.monotonic() + 4
        while time.monotonic() < until_time:
            socks, _ = connect_many(home, 20)
            close_all(socks)
        assert home.roles() == before
