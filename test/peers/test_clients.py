"""Real clients deliver messages of 1 byte to 50 MB, 8-bit and dot-stuffed; they arrive byte for
byte, trace headers aside."""

import os
import re
import select
import shutil
import subprocess

import pytest
from letterlock import Home, until
from nexthop import NextHop
from postfix import Postfix, available
from smtpclient import send, without_trace

pytestmark = pytest.mark.peers

HEAD = (b"From: <a@client.example>\r\nTo: <b@example.org>\r\nSubject: peers\r\n"
        b"Date: Sat, 21 Nov 2026 19:13:33 +0000\r\nMessage-ID: <peers@client.example>\r\n\r\n")
DOTS = b".\r\n..\r\n.leading\r\n...\r\n. \r\nend.\r\n"
EIGHT_BIT = "Grüße, 数字, \u00a0\r\n".encode() + bytes(range(160, 256)) + b"\r\n"


def filled(size):
    line = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"
    return (line * (size // len(line) + 1))[:max(0, size - 2)] + b"\r\n"


BODIES = {
    "one byte": b"x\r\n",
    "dots": DOTS,
    "8 bit": EIGHT_BIT,
    "longest line": b"y" * 998 + b"\r\n",
    "300 KB with dots": DOTS * 9000 + EIGHT_BIT,
    "3 MB": filled(3_000_000) + DOTS,
}
LARGE = {"50 MB": filled(50_000_000) + DOTS}


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}")


@pytest.fixture(scope="module")
def big_road(tmp_path_factory, pki):
    """One road for all clients of this file."""
    with NextHop(certificate=pki.certificate("good")) as hop:
        home = Home(tmp_path_factory.mktemp("peers") / "home",
                    settings={"smtp.max_size": "100M"}).setup()
        home.cli("connector", "add", "hop", f"localhost:{hop.port}", "--for", "*", "--tls", "verify",
                 "--trust", pki.root.pem)
        certificate = pki.certificate("good", home.hostname)
        home.serve()
        home.cli("cert", "import", certificate.chain, certificate.key)
        home.ca = pki.root.pem
        yield home, hop
        home.stop()


@pytest.fixture
def arrives(big_road):
    """arrives(sending, data): calls sending(home) and compares what comes out."""
    home, hop = big_road

    def go(sending, data):
        seen = len(hop.messages)
        done = sending(home)
        if isinstance(done, subprocess.CompletedProcess):
            assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
        got = without_trace(hop.wait(seen + 1, 120)[-1].data)
        if got != data:
            at = next((i for i, (a, b) in enumerate(zip(got, data)) if a != b),
                      min(len(got), len(data)))
            raise AssertionError(f"{len(got)} bytes for {len(data)}; differ at {at}: "
                                 f"{got[at - 40:at + 40]!r} for {data[at - 40:at + 40]!r}")

    return go


def run(*args, stdin=None):
    return subprocess.run([str(a) for a in args], input=stdin, capture_output=True, timeout=300)


@pytest.mark.parametrize("body", [*BODIES, *LARGE])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_smtplib(arrives, body, tls):
    data = HEAD + {**BODIES, **LARGE}[body]
    arrives(lambda home: send(home.submissions if tls == "implicit" else home.smtp, data, tls=tls,
                              timeout=300), data)


@needs("curl")
@pytest.mark.parametrize("body", [*BODIES, *LARGE])
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl(arrives, tmp_path, body, scheme):
    data = HEAD + {**BODIES, **LARGE}[body]
    (tmp_path / "letter").write_bytes(data)
    arrives(lambda home: run(
        "curl", "-sS", "--cacert", home.ca, "--ssl-reqd", "--resolve",
        f"{home.hostname}:{home.submissions}:127.0.0.1", "--resolve",
        f"{home.hostname}:{home.submission}:127.0.0.1", "--mail-from", "a@client.example",
        "--mail-rcpt", "b@example.org", "-T", tmp_path / "letter",
        f"{scheme}://{home.hostname}:{home.submissions if scheme == 'smtps' else home.submission}/client.example"),
        data)


@needs("swaks")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("tls", ["--tls", "--tls-on-connect"])
def test_swaks(arrives, tmp_path, body, tls):
    data = HEAD + BODIES[body]
    # swaks takes a file with LF line ends, and adds the line end that ends it.
    (tmp_path / "letter").write_bytes(data.replace(b"\r\n", b"\n").removesuffix(b"\n"))
    arrives(lambda home: run(
        "swaks", "--server", "127.0.0.1", "--port",
        home.submissions if tls == "--tls-on-connect" else home.submission, tls, "--helo",
        "client.example", "--from", "a@client.example", "--to", "b@example.org", "--data",
        f"@{tmp_path}/letter", "--hide-all"), data)


class Openssl:
    """openssl s_client as a line client."""

    def __init__(self, *args):
        self.process = subprocess.Popen(["openssl", "s_client", "-quiet", *map(str, args)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.buffer = b""

    def reply(self):
        """The last line of the next reply."""
        while True:
            line, end, rest = self.buffer.partition(b"\r\n")
            if end:
                self.buffer = rest
                if re.match(rb"\d\d\d ", line):
                    return line
                continue
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            got = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not got:
                self.process.kill()
                raise AssertionError(f"no reply from s_client: {self.process.communicate()}")
            self.buffer += got

    def say(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self.reply()


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("how", ["starttls", "implicit"])
def test_openssl_s_client(arrives, body, how):
    data = HEAD + BODIES[body]

    def sending(home):
        port = home.smtp if how == "starttls" else home.submissions
        client = Openssl("-connect", f"127.0.0.1:{port}", "-CAfile", home.ca, "-verify_return_error",
                         "-verify_hostname", home.hostname,
                         *(["-starttls", "smtp"] if how == "starttls" else []))
        if how == "implicit":  # else s_client has read it
            client.reply()
        assert client.say(b"EHLO client.example\r\n").startswith(b"250 ")
        assert client.say(b"MAIL FROM:<a@client.example> BODY=8BITMIME\r\n").startswith(b"250 ")
        assert client.say(b"RCPT TO:<b@example.org>\r\n").startswith(b"250 ")
        assert client.say(b"DATA\r\n").startswith(b"354 ")
        stuffed = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
        assert client.say(stuffed + b".\r\n").startswith(b"250 ")
        client.say(b"QUIT\r\n")
        client.process.wait(20)

    arrives(sending, data)


# ---- Postfix, both ways


@pytest.fixture(scope="module")
def postfix(big_road, pki):
    """One that sends to the home, and to which the home sends mail for received.example."""
    if not available():
        pytest.skip("needs root and `tool/deps all`")
    home, _ = big_road
    with Postfix(pki.certificate("good"), pki.root.pem, f"[127.0.0.1]:{home.smtp}") as running:
        home.cli("connector", "add", "postfix", f"localhost:{running.port}", "--for",
                 "received.example", "--tls", "verify", "--trust", pki.root.pem)
        yield running


@pytest.mark.parametrize("body", [*BODIES, *LARGE])
def test_postfix_as_client(arrives, postfix, body):
    data = HEAD + {**BODIES, **LARGE}[body]

    def sending(_):
        before = postfix.log().count("status=")
        postfix.send(data.replace(b"\r\n", b"\n"))
        until(lambda: postfix.log().count("status=") > before, "Postfix tells the outcome", 120)
        assert postfix.log().count("status=sent") > before, postfix.log()[-3000:]
        assert "TLS connection established to 127.0.0.1" in postfix.log()

    arrives(sending, data)


def test_postfix_as_next_hop(big_road, postfix):
    home, _ = big_road
    for count, (name, body) in enumerate({**BODIES, **LARGE}.items(), 1):
        data = HEAD + body
        send(home.smtp, data, to="box@received.example", timeout=300)
        got = without_trace(postfix.received(count, 120)[-1].replace(b"\n", b"\r\n"))
        assert got == data, f"{name}: {len(got)} bytes for {len(data)}"
    assert "verified" in home.wait_state("box@received.example", "delivered")["last"]["tls"]
