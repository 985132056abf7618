"""L1: log files letterlock.<date>.<count>: milliseconds, [process:fiber], level, event, session and
message id, key=value, source file and line."""

import re

from letterlock import until
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
