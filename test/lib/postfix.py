"""Debian's Postfix for tests, from the tree that `tool/deps all` makes under build/peers: it takes
mail for received.example into a folder and sends all other mail to a relay host."""

import os
import shutil
import subprocess
from pathlib import Path

from letterlock import ROOT, free_ports, until

TREE = ROOT / "build" / "peers"

MAIN = """
compatibility_level = 3.6
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = {relayhost}
local_recipient_maps =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = {level}
smtp_tls_CAfile = /etc/postfix/test/ca.pem
smtp_tls_loglevel = 1
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/test/key.pem, /etc/postfix/test/chain.pem
virtual_mailbox_domains = received.example
virtual_mailbox_base = /var/mail/test
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 209715200
mailbox_size_limit = 0
smtp_line_length_limit = 998
maillog_file = /var/log/postfix.log
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def available():
    return os.getuid() == 0 and (TREE / "usr/sbin/postfix").exists()


class Postfix:
    def __init__(self, certificate, ca, relayhost="", level="encrypt"):
        """`certificate`: a pki.Certificate; `ca`: PEM it trusts; `relayhost` as in main.cf."""
        self.port = free_ports(1)[0]
        self.box = TREE / "var/mail/test/box"
        self.process = None
        folder = TREE / "etc/postfix"
        (folder / "test").mkdir(exist_ok=True)
        for source, name in ((certificate.chain, "chain.pem"), (certificate.key, "key.pem"),
                             (ca, "ca.pem")):
            shutil.copy(source, folder / "test" / name)
        (folder / "main.cf").write_text(MAIN.format(relayhost=relayhost, level=level))
        (folder / "master.cf").write_text(MASTER.format(port=self.port))

    def _run(self, *args, **options):
        return subprocess.run(["chroot", TREE, *args], capture_output=True, **options)

    def __enter__(self):
        self._run("postfix", "stop")
        until(lambda: self._run("postfix", "status").returncode, "an older Postfix has ended")
        self._run("postsuper", "-d", "ALL")
        shutil.rmtree(self.box, ignore_errors=True)
        self.box.parent.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.box.parent, 65534, 65534)
        (TREE / "var/log/postfix.log").unlink(missing_ok=True)
        self.process = subprocess.Popen(["chroot", TREE, "postfix", "start-fg"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        until(lambda: self._run("postfix", "status").returncode == 0, "Postfix runs")
        return self

    def __exit__(self, *_):
        self._run("postfix", "stop")
        self.process.wait(30)

    def send(self, data, sender="a@client.example", to="b@example.org"):
        """Puts a message (LF line ends) into Postfix's queue for the relay host."""
        self._run("sendmail", "-i", "-f", sender, to, input=data, check=True)

    def received(self, count=1, timeout=60):
        """The messages that arrived for received.example, with LF line ends, oldest first."""
        def there():
            files = sorted((self.box / "new").glob("*"), key=lambda one: one.stat().st_mtime_ns)
            return files if len(files) >= count else None

        return [one.read_bytes() for one in until(there, f"{count} in Postfix's box", timeout)]

    def log(self):
        path = TREE / "var/log/postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""
