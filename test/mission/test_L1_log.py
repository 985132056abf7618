"""L1: log files letterlock.<date>.<count>: milliseconds, [process:fiber], level, event, session and
message id, key=value, source file and line. A new file by size and by day (the day: serve_log_test.c),
without losing a line."""

import re
from collections import Counter

from letterlock import until
from load import Load
from smtpclient import Raw, message, queue_id, send

LINE = re.compile(
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[\d+:[^\]]*\] [EWID] [a-z]+(\.[a-z0-9-]+)+ "
    r".*\([a-z_0-9]+\.c:\d+\)$")
NAME = re.compile(r"^letterlock\.\d{4}-?\d\d-?\d\d\.\d+$")


def test_L1_form_of_every_line(road):
    id = queue_id(send(road.home.smtp, message()))
    road.home.wait_state(id, "delivered")
    road.home.stop()
    files = list((road.home.folder / "log").iterdir())
    assert files and all(NAME.match(one.name) for one in files)
    lines = road.home.log()
    assert [line for line in lines if not LINE.match(line)] == []
    # The message can be followed by its id, through the processes.
    about = [line for line in lines if id in line]
    assert len(about) >= 2
    assert len({re.search(r"\[(\d+):", line).group(1) for line in about}) >= 2
    assert any("sid=" in line for line in about)


def test_L1_nobody_can_forge_a_line(road):
    forged = "2026-11-21T19:13:33.123Z [1:x] E forged.line x=1 (x.c:1)"
    with Raw(road.home.smtp) as client:
        client.hello()
        client.put(b"EHLO a\n" + forged.encode() + b"\r\n")
        client.reply()
        client.say('MAIL FROM:<"\x1b[31m\x07"@client.example>')
        client.say("NONSENSE " + forged)
    road.home.stop()
    lines = road.home.log()
    assert not [line for line in lines if line.startswith(forged[:26])]
    assert not [line for line in lines if "\x1b" in line or "\x07" in line]


def test_L1_a_session_fills_no_disk(road):
    """Refusals that end no session are many for little: the log tells of the first, and how many."""
    road.home.cli("config", "set", "smtp.max_recipients", "1")
    with Raw(road.home.smtp) as client:
        client.hello()
        client.say("MAIL FROM:<a@client.example>")
        client.put("".join(f"RCPT TO:<b{i}@example.org>\r\n" for i in range(1000)))
        assert [client.reply()[:3] for _ in range(1000)].count("452") == 999
        client.say("QUIT")
    road.home.stop()
    refused = [line for line in road.home.log() if " smtp.refuse " in line]
    assert 10 <= len(refused) <= 100
    assert any(" smtp.close " in line and " refusals=999 " in line for line in road.home.log())


def test_L1_level_changes_live(road):
    road.home.cli("config", "set", "log.level", "error")
    before = len(road.home.log())
    id = queue_id(send(road.home.smtp, message()))
    road.home.wait_state(id, "delivered")
    assert not [line for line in road.home.log()[before:] if id in line]
    # What is needed to explain is there all the same, without a debug mode.
    assert "250" in road.home.cli("trace", id)


def test_L1_old_files_go(new_home):
    """log.keep: files of days long past are deleted, those of others never."""
    home = new_home(log_keep="3650d")
    home.serve()
    folder = home.folder / "log"
    old, new = folder / "letterlock.20200101.3", max(folder.glob("letterlock.*"))
    for one in (old, folder / "letterlock.20200101.gz", folder / "letterlock.old"):
        one.write_text("kept?\n")
    home.cli("config", "set", "log.keep", "30d")
    until(lambda: not old.exists(), "the old log file is gone", timeout=30)
    assert new.exists()
    assert (folder / "letterlock.20200101.gz").exists() and (folder / "letterlock.old").exists()
    assert any("serve.log-purge" in line and "letterlock.20200101.3" in line for line in home.log())


def logs(home):
    return sorted((home.folder / "log").glob("letterlock.*"),
                  key=lambda one: int(one.suffix[1:]))


def test_L1_no_line_is_lost_when_files_change(road):
    """Each message leaves its lines once, of each role, whatever file is begun meanwhile."""
    home = road.home
    home.set(log_max_size="64K")
    with Load(home, clients=4, sizes=(200,), pause=0) as load:
        until(lambda: len(logs(home)) >= 4, "three new files were begun under load", timeout=60)
    home.wait_queue_empty()
    home.stop()
    assert all(NAME.match(one.name) for one in logs(home))
    assert all(one.stat().st_size >= 64 * 1024 for one in logs(home)[:-1])
    lines = [line for one in logs(home) for line in one.read_text().splitlines()]
    assert [line for line in lines if not LINE.match(line)] == []
    # sid and mid of what edge, relay and store say.
    seen = Counter((event, id) for line in lines
                   for event, id in re.findall(r" I (smtp\.accept) .*?mid=(\w+)", line) +
                   re.findall(r" I (relay\.deliver|deliver\.result) .*?mid=(\w+)", line) +
                   re.findall(r" I (smtp\.close) .*?sid=(\w+)", line))
    assert set(seen.values()) == {1}
    count = Counter(event for event, _ in seen)
    assert count["smtp.accept"] >= load.count("accepted") > 100
    assert count["smtp.accept"] == count["relay.deliver"] == count["deliver.result"]
    # Several processes wrote to each file but the last, and none stayed behind in an old one.
    for one in logs(home)[:-1]:
        assert len(set(re.findall(r" \[(\d+):", one.read_text()))) >= 4


def test_L1_a_file_that_was_moved(road):
    """Somebody moves the file in use away: within a minute it is there again, and used by all."""
    one = logs(road.home)[-1]
    one.rename(one.with_name("away"))
    until(one.exists, "the log file is there again", timeout=60)

    def all_write():
        send(road.home.smtp, message())
        return len(set(re.findall(r" \[(\d+):", one.read_text()))) >= 4

    until(all_write, "all roles write to the new one", timeout=30, pause=0.3)
