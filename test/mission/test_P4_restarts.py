"""P4: a role that dies is started again alone; what lives on is linked to it, and mail flows on."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from letterlock import Refused, alive, build_folder, until
from nexthop import Delay
from smtpclient import Raw, message, queue_id, send

ROLES = ("mx", "user", "control", "relay", "keys", "store")


def listed(home):
    return {one["role"]: one for one in home.cli_json("service", "list")["roles"]}


def running(home):
    """The roles when all of them run, else None."""
    try:
        roles = listed(home)
    except Refused:  # store or control is on its way
        return None
    return roles if all(one["state"] == "running" for one in roles.values()) else None


def deliver(home):
    """A message over TLS all the way to the next hop; what is put off is tried again."""
    got = []

    def go():
        try:
            got.append(queue_id(send(home.smtp, message(), timeout=20)))
            return True
        except Exception:
            return False

    until(go, "the message is accepted", timeout=30, pause=0.2)
    home.wait_state(got[0], "delivered")


def kill_and_wait(home, *names):
    """kill -9 of these roles at one moment; returns what runs when all are back."""
    before = listed(home)
    for name in names:
        home.kill_pid(before[name]["pid"])

    def back():
        now = running(home)
        return now and all(now[n]["pid"] != before[n]["pid"] for n in names) and now

    now = until(back, f"{names} are back", timeout=20)
    for name in now:
        if name not in names:
            assert now[name]["pid"] == before[name]["pid"], f"{name} was not killed"
            assert now[name]["restarts"] == before[name]["restarts"]
        else:
            assert now[name]["restarts"] > before[name]["restarts"]
    return now


# ---- one role


@pytest.mark.parametrize("name", ROLES)
def test_P4_a_session_outlives_the_death_of_a_role(road, name):
    with Raw(road.home.smtp) as client:
        client.hello()
        assert client.say("MAIL FROM:<a@client.example>").startswith("250")
        assert client.say("RCPT TO:<b@example.org>").startswith("250")
        now = kill_and_wait(road.home, name)
        assert now[name]["restarts"] == 1
        if name == "mx":
            assert client.closed()
        else:
            assert client.say("DATA").startswith("354")
            client.put(message() + b".\r\n")
            road.home.wait_state(queue_id(client.reply()), "delivered")
    deliver(road.home)
    assert re.search(rf"^{name}\s+running\s+\d+\s+\S+\s+1\b",
                     road.home.cli("service", "list"), re.M)


def test_P4_a_session_is_put_off_while_store_is_away(road):
    """451, not a hang and not a lost connection."""
    with Raw(road.home.smtp) as client:
        client.hello()
        assert client.say("MAIL FROM:<a@client.example>").startswith("250")
        road.home.kill_pid(listed(road.home)["store"]["pid"])
        replies = []

        def asked():
            replies.append(client.say("RCPT TO:<b@example.org>"))
            return replies[-1].startswith("250")

        until(asked, "the recipient is taken again")
        assert all(re.match("250|451 4", one) for one in replies), replies


# ---- several at one moment


@pytest.mark.parametrize("names", [("store", "keys"), ("store", "relay"), ("mx", "store"),
                                   ("user", "mx", "keys"), ROLES])
def test_P4_roles_that_die_together_find_each_other_again(road, pki, names):
    for _ in range(2):
        kill_and_wait(road.home, *names)
        deliver(road.home)
        # store reaches keys too.
        made = pki.certificate("good")
        road.home.cli("cert", "import", made.chain, made.key)


def test_P4_a_death_on_the_way_up_is_one_more_restart(road):
    """Killed again and again at any moment of their start, they come back for good."""
    end = time.monotonic() + 6
    pause = 0.005
    while time.monotonic() < end:
        for pid in road.home.children():
            road.home.kill_pid(pid)
        time.sleep(pause)
        pause = pause * 1.4 if pause < 0.5 else 0.01
    until(lambda: running(road.home), "all roles run", timeout=45)
    deliver(road.home)


# ---- back-off


def test_P4_the_back_off_grows(home):
    """From the death of mx to its next start: longer each time, and the others do not wait."""
    for n in range(1, 6):
        home.kill_role("mx")
        until(lambda: (running(home) or {}).get("mx", {}).get("restarts") == n, "mx is back")
    died, gaps = None, []
    for line in home.log():
        moment = datetime.fromisoformat(line.split()[0])
        if "serve.child-ended role=mx" in line:
            died = moment
        elif "role.start role=edge group=mx" in line and died:
            gaps.append((moment - died).total_seconds())
    assert len(gaps) == 5
    assert all(gap >= 0.1 * 2 ** n for n, gap in enumerate(gaps)), gaps
    assert gaps[-1] > gaps[0] * 2, gaps
    assert all(one["restarts"] == 0 for name, one in listed(home).items() if name != "mx")


# ---- settings meanwhile


def test_P4_settings_reach_a_role_that_is_just_starting(home):
    """Whatever moment of its start they come at."""
    n = 0
    for _ in range(5):
        home.kill_pid(listed(home)["mx"]["pid"])
        while True:
            n += 1
            revision = home.cli_json("config", "set", "smtp.max_sessions", 1000 + n)["revision"]
            roles = running(home)
            if roles:
                break
        assert {roles[name]["revision"] for name in ("mx", "user", "relay", "keys")} == {revision}


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return False
    except ConnectionRefusedError:
        return True


def test_P4_a_stopped_service_stays_closed(home):
    """A change of settings, or a death of store, opens nothing."""
    home.cli("service", "stop", "mx")
    assert refuses(home.smtp)
    home.set(smtp_max_sessions=77)
    assert refuses(home.smtp) and not refuses(home.submission)
    old = home.kill_role("store")
    home.wait_role("store", not_pid=old)
    home.set(smtp_max_sessions=78)
    assert refuses(home.smtp) and not refuses(home.submission)
    home.cli("service", "start", "mx")
    assert not refuses(home.smtp)
    assert listed(home)["mx"]["revision"] == listed(home)["user"]["revision"]


def test_P4_a_stopped_service_leaves_its_port_to_others(home):
    home.cli("service", "stop", "mx")
    with socket.create_server(("127.0.0.1", home.smtp)):
        home.set(smtp_max_sessions=77)
        said = home.refused("service", "start", "mx")
        assert f"listen.smtp: cannot listen on 127.0.0.1:{home.smtp}" in said
    home.cli("service", "start", "mx")
    assert not refuses(home.smtp)


@pytest.mark.parametrize("what", ["relay", "serve"])
def test_P4_an_end_under_load_is_quick_and_loses_nothing(road, what):
    """What relay has in hand is finished, the rest of the queue waits; nothing comes twice."""
    road.hop.set(end=Delay(0.3))
    with Raw(road.home.smtp) as client:
        client.hello()
        for n in range(300):
            client.put("MAIL FROM:<a@client.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
            assert [client.reply()[:3] for _ in range(3)] == ["250", "250", "354"]
            client.put(message(mark=n) + b".\r\n")
            assert client.reply().startswith("250")
    began = time.monotonic()
    if what == "relay":
        road.home.cli("service", "stop", "relay")
    else:
        road.home.stop()
    assert time.monotonic() - began < 3
    assert len(road.hop.messages) < 250, "it did not work off the queue first"
    road.hop.set(end=None)
    if what == "relay":
        road.home.cli("service", "start", "relay")
    else:
        road.home.serve()
    road.home.wait_queue_empty()
    marks = [mark for one in road.hop.messages for mark in one.queue_marks]
    assert sorted(marks, key=int) == [str(n) for n in range(300)]
    assert not [line for line in road.home.log() if "serve.kill" in line or "signal=" in line]


# ---- import workers


@pytest.fixture
def slow_pile(pki, tmp_path):
    """A pile that takes its reader a second or more: a PKCS#12 file with a hard passphrase."""
    made = pki.certificate("good")
    pile = tmp_path / "slow.p12"
    subprocess.run(["openssl", "pkcs12", "-export", "-in", made.chain, "-inkey", made.key, "-out",
                    pile, "-passout", "pass:x", "-iter", "3000000", "-macalg", "sha256"],
                   check=True, capture_output=True)
    return pile


def worker_of(home):
    """The import worker's pid, or None."""
    for pid in home.children():
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith("/import"):
                return pid
        except OSError:
            pass
    return None


def start_import(home, pile):
    """Imports in the background; returns when the worker is at it."""
    done = []
    phrase = pile.parent / "phrase"
    phrase.write_text("x\n")
    thread = threading.Thread(target=lambda: done.append(
        home.run("cert", "import", pile, "--passphrase-file", phrase)))
    thread.start()
    return thread, done, until(lambda: worker_of(home), "an import worker", pause=0.001)


@pytest.mark.parametrize("victim", ["store", "import", "control"])
def test_P4_a_death_during_an_import(road, pki, slow_pile, victim):
    before = road.home.cli_json("cert", "list")["certificates"]
    thread, done, worker = start_import(road.home, slow_pile)
    if victim == "import":
        road.home.kill_pid(worker)
    else:
        kill_and_wait(road.home, victim)
    thread.join(30)
    if victim != "control":
        assert done[0].returncode == 1 and done[0].stderr, done
        assert road.home.cli_json("cert", "list")["certificates"] == before
    until(lambda: not alive(worker), "the worker is gone", timeout=30)
    made = pki.certificate("good")
    road.home.cli("cert", "import", made.chain, made.key)
    deliver(road.home)


@pytest.fixture
def without(tmp_path, new_home):
    """A home of an installation that lacks one role's program, and the path of that."""
    def make(role):
        copy = tmp_path / "build"
        shutil.copytree(build_folder() / "libexec", copy / "libexec")
        shutil.copy(build_folder() / "letterlock", copy / "letterlock")
        program = copy / "libexec" / "letterlock" / role
        program.unlink()
        home = new_home()
        home.program = copy / "letterlock"
        return home, program
    return make


def test_P4_an_import_worker_that_never_comes_up(without, pki):
    """It dies before its first word, each time; serve lives on."""
    home, worker = without("import")
    home.serve()
    before = listed(home)
    made = pki.certificate("good")
    for text in (None, "#!/bin/sh\nexit 3\n", "#!/bin/sh\nkill -9 $$\n"):
        if text:
            worker.write_text(text)
            worker.chmod(0o755)
        for _ in range(3):
            home.refused("cert", "import", made.chain, made.key)
    assert {n: one["pid"] for n, one in listed(home).items()} == \
        {n: one["pid"] for n, one in before.items()}


# ---- beginning and end of serve itself


def test_P4_a_second_serve_is_refused(home):
    done = home.run("serve")
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert home.cli_json("service", "list"), "the first one goes on"


def test_P4_after_a_crash_it_starts_again(home):
    home.kill()
    assert (home.folder / "control.sock").exists()
    home.serve()
    assert running(home)


def test_P4_when_serve_dies_nobody_stays(home):
    pids = home.children()
    home.kill_pid(home.process.pid)
    home.process.wait()
    home.process = None
    until(lambda: not any(alive(pid) for pid in pids), "all roles are gone")


@pytest.mark.parametrize("signals", ["serve", "group"])
def test_P4_stopped_at_any_moment_of_its_start(new_home, signals):
    """SIGTERM to serve, or to all its processes as a service manager sends it: an end in order.
    The same when its terminal goes."""
    home = new_home()
    env = {**home.env, "LETTERLOCK_HOME": str(home.folder)}
    for n in range(9):
        with open(home.stderr, "ab") as err:
            process = subprocess.Popen([home.program, "serve"], env=env, stdin=subprocess.DEVNULL,
                                       stdout=err, stderr=err, start_new_session=True)
        time.sleep(0.09 * n)
        home.process = process
        pids = home.children()
        which = signal.SIGTERM if n % 3 else signal.SIGHUP
        (os.kill if signals == "serve" else os.killpg)(process.pid, which)
        status = process.wait(15)
        # Before it listens for signals, the signal itself ends it.
        assert status == 0 or (status == -which and n < 3), (n, status, home.said())
        until(lambda: not any(alive(pid) for pid in pids), "all roles are gone")
    home.process = None
    home.look_for_findings()
    assert not [line for line in home.log() if "signal=" in line or " E " in line]


@pytest.mark.parametrize("piece", ["data/node.db", "keys", "log", "data/site.db"])
def test_P4_a_home_with_a_missing_piece(new_home, piece):
    home = new_home()
    folder, piece = (home.folder / piece).parent, Path(piece).name
    away = home.folder.parent / "away"
    away.mkdir()
    for part in folder.glob(f"{piece}*"):
        part.rename(away / part.name)
    done = home.run("serve")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "WARNING: ASan" not in line]
    assert len(said) == 1 and str(home.folder) in said[0], said
    assert piece in said[0] or piece == "site.db"
    for part in away.iterdir():
        if (folder / part.name).is_dir():
            shutil.rmtree(folder / part.name)
        part.rename(folder / part.name)
    home.serve()


@pytest.mark.parametrize("role", ["store", "relay"])
def test_P4_a_program_that_cannot_be_run_is_said_at_once(without, role):
    home, program = without(role)
    done = home.run("serve")
    assert done.returncode == 1
    assert f"{program} cannot be run" in done.stderr


def test_P4_a_port_in_use_is_said_at_once(new_home):
    home = new_home()
    with socket.create_server(("127.0.0.1", home.submission)):
        done = home.run("serve")
    assert done.returncode == 1
    assert f"listen.submission: cannot listen on 127.0.0.1:{home.submission}" in done.stderr
    home.serve()
