r"""Runs the dialogues *.smtp of this folder against a real server that relays to a next hop.

    # comment
    @ listener submission       smtp (the default), submission, submissions; before the first C: or S:
    @ set smtp.tls required     a setting, for this dialogue
    @ tls                       the client's TLS handshake
    @ closed                    the server ends the connection now
    @ arrives 1                 so many messages reach the next hop by this dialogue, no more
    @ body line                 the message that arrived last has this body: all @ body lines
    @ header X-Name: value      it has this header line
    @ has-header X-Name         it has such a header field; @ no-header: it has none
    @ recipients a@b c@d        it was sent to these
    C: MAIL FROM:<a@b>          sends the text and CRLF
    C> text\r\n                 sends the bytes: \r \n \0 \\ \xFF
    C* 3000 text                sends the text so many times, without CRLF
    S: 250 2.1.0 *              reads one reply, all its lines; its last line matches, * is anything
    S+ STARTTLS                 that reply had a line with this text
    S- STARTTLS                 and none with this
"""

import fnmatch
import re
from pathlib import Path

import pytest
from letterlock import Home
from nexthop import NextHop
from smtpclient import Raw

FILES = sorted(Path(__file__).parent.glob("*.smtp"))
ESCAPES = {"r": b"\r", "n": b"\n", "0": b"\0", "\\": b"\\"}


def unescape(text):
    def one(match):
        escape = match.group(1)
        return bytes([int(escape[1:], 16)]) if escape[0:1] == b"x" else ESCAPES[escape.decode()]

    return re.sub(rb"\\(x[0-9A-Fa-f]{2}|.)", one, text.encode("latin-1"))


class Player:
    def __init__(self, home, hop):
        self.home, self.hop = home, hop
        self.listener = "smtp"
        self.client = None
        self.reply = ""
        self.before = {}  # settings to put back
        self.expected_body = []
        self.seen = len(hop.messages)

    def open(self):
        if not self.client:
            port = getattr(self.home, self.listener)
            self.client = Raw(port, implicit_tls=self.listener == "submissions")
        return self.client

    def play(self, line):
        mark, text = line[:2], line[3:]
        if mark == "C:":
            self.open().put(text + "\r\n")
        elif mark == "C>":
            self.open().put(unescape(text))
        elif mark == "C*":
            count, _, piece = text.partition(" ")
            self.open().put(piece * int(count))
        elif mark == "S:":
            self.reply = self.open().reply()
            last = self.reply.split("\n")[-1]
            assert fnmatch.fnmatchcase(last, text.replace("[", "[[]")), f"got {self.reply!r}"
        elif mark == "S+":
            assert text in self.reply, f"got {self.reply!r}"
        elif mark == "S-":
            assert text not in self.reply, f"got {self.reply!r}"
        else:
            word, _, rest = line[2:].partition(" ")
            getattr(self, "do_" + word.replace("-", "_"))(rest)

    def do_listener(self, name):
        self.listener = name

    def do_set(self, rest):
        key, _, value = rest.partition(" ")
        self.before.setdefault(key, self.home.setting(key))
        self.home.cli("config", "set", key, value)

    def do_tls(self, _):
        self.open().start_tls()

    def do_closed(self, _):
        assert self.open().closed(), "the server still talks"

    def do_arrives(self, count):
        if int(count):
            self.hop.wait(self.seen + int(count))
        # What else was accepted would be in the queue or have arrived.
        self.home.wait_queue_empty()
        assert len(self.hop.messages) - self.seen == int(count)

    def do_body(self, line):
        self.expected_body.append(line)

    def head(self):
        return self.hop.messages[-1].data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")

    def do_header(self, line):
        assert line in self.head()

    def do_has_header(self, name):
        assert any(line.lower().startswith(name.lower() + ":") for line in self.head()), self.head()

    def do_no_header(self, name):
        assert not any(line.lower().startswith(name.lower() + ":") for line in self.head())

    def do_recipients(self, addresses):
        assert " ".join(self.hop.messages[-1].recipients) == addresses

    def finish(self):
        if self.expected_body:
            body = self.hop.messages[-1].data.split(b"\r\n\r\n", 1)[1].decode("latin-1")
            assert body == "".join(line + "\r\n" for line in self.expected_body)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with NextHop() as hop:
        home = Home(tmp_path_factory.mktemp("dialogue") / "home").setup()
        for domain in ("example.org", home.hostname):
            home.cli("domain", "add", domain)
        home.cli("connector", "add", "hop", f"127.0.0.1:{hop.port}", "--for", "*", "--tls", "off")
        home.serve()
        yield home, hop
        home.stop()


@pytest.mark.parametrize("file", FILES, ids=lambda one: one.stem)
def test_dialogue(stage, file):
    player = Player(*stage)
    try:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("#") or not line.strip():
                continue
            try:
                player.play(line)
            except Exception as e:
                raise AssertionError(f"{file.name}:{number}: {line}\n{e}") from e
        player.finish()
    finally:
        if player.client:
            player.client.close()
        for key, value in player.before.items():
            player.home.cli("config", "set", key, value)
