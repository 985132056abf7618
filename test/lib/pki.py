"""A private certification authority for tests: good certificates and every kind of bad one.

Made with the openssl program, so that nothing of Letterlock's own certificate code judges itself.
`python3 test/lib/pki.py DIR NAME` makes a CA and one good certificate for NAME in DIR."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = {common_name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
# Where an intermediate's certificate can be had, as public CAs say it.
[linked]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = {names}
authorityInfoAccess = caIssuers;URI:http://ca.example/issuer.crt
"""


def openssl(*args):
    """Runs openssl; its output is shown only when it fails."""
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, args))}: {done.stderr}")


def moment(days):
    """The time `days` from now as openssl wants it."""
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


@dataclass
class Certificate:
    """A certificate as a server uses it."""

    chain: Path  # PEM: the certificate itself, then intermediates
    key: Path  # PEM
    leaf: Path  # PEM: the certificate alone


class Authority:
    """A CA: a root, or an intermediate signed by `parent`."""

    def __init__(self, folder, common_name="Test Root", parent=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.parent = parent
        self.issued = 0
        (self.folder / "index.txt").touch()
        self.key = self.folder / "ca.key"
        self.pem = self.folder / "ca.pem"
        if parent:
            made = parent._sign(common_name, "DNS:unused", "authority", -1, 3650)
            made.leaf.rename(self.pem)
            made.key.rename(self.key)
        else:
            config = self._config(common_name, "DNS:unused")
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-out", self.key)
            openssl("req", "-x509", "-new", "-key", self.key, "-config", config, "-days", "3650",
                    "-extensions", "authority", "-out", self.pem)

    def _config(self, common_name, names):
        path = self.folder / f"config-{self.issued}"
        path.write_text(CONFIG.format(folder=self.folder, common_name=common_name, names=names))
        return path

    def _sign(self, common_name, names, extensions, from_days, until_days, key="EC"):
        self.issued += 1
        stem = self.folder / f"{self.issued}"
        leaf, key_file = stem.with_suffix(".pem"), stem.with_suffix(".key")
        config = self._config(common_name, names)
        kind = {"EC": ["-pkeyopt", "ec_paramgen_curve:P-256"], "ED25519": [],
                "RSA": ["-pkeyopt", "rsa_keygen_bits:2048"]}[key]
        openssl("genpkey", "-algorithm", key, *kind, "-out", key_file)
        openssl("req", "-new", "-key", key_file, "-config", config, "-out",
                stem.with_suffix(".csr"))
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.pem, "-keyfile",
                self.key, "-in", stem.with_suffix(".csr"), "-extensions", extensions,
                "-startdate", moment(from_days), "-enddate", moment(until_days), "-out", leaf)
        return Certificate(chain=leaf, key=key_file, leaf=leaf)

    def issue(self, *names, from_days=-1, until_days=90, key="EC"):
        """A server certificate for these DNS names (or addresses), valid in the given span."""
        tagged = [("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n
                  for n in names]
        made = self._sign(names[0], ",".join(tagged), "linked" if self.parent else "server",
                          from_days, until_days, key)
        made.chain = made.leaf.with_suffix(".chain")
        issuer, pems = self, [made.leaf.read_text()]
        while issuer.parent:
            pems.append(issuer.pem.read_text())
            issuer = issuer.parent
        made.chain.write_text("".join(pems))
        return made


class Pki:
    """The certificates most tests want, each made at its first use."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.made = {}

    def _once(self, name, make):
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    @property
    def root(self):
        return self._once("root", lambda: Authority(self.folder / "root"))

    @property
    def stranger(self):
        """A root that nobody trusts."""
        return self._once("stranger",
                          lambda: Authority(self.folder / "stranger", "Unknown Root"))

    @property
    def intermediate(self):
        return self._once("intermediate", lambda: Authority(
            self.folder / "intermediate", "Test Intermediate", parent=self.root))

    def certificate(self, kind, host="localhost"):
        """`kind` is one of good, expired, not-yet-valid, wrong-name, untrusted, wildcard,
        intermediate, missing-intermediate, rsa, ed25519."""
        return self._once((kind, host), lambda: self._make(kind, host))

    def _make(self, kind, host):
        if kind == "missing-intermediate":
            made = self.intermediate.issue(host)
            return Certificate(chain=made.leaf, key=made.key, leaf=made.leaf)
        return {
            "good": lambda: self.root.issue(host),
            "expired": lambda: self.root.issue(host, from_days=-90, until_days=-2),
            "not-yet-valid": lambda: self.root.issue(host, from_days=2, until_days=90),
            "wrong-name": lambda: self.root.issue("other.example"),
            "untrusted": lambda: self.stranger.issue(host),
            "wildcard": lambda: self.root.issue("*." + host.split(".", 1)[-1]),
            "intermediate": lambda: self.intermediate.issue(host),
            "rsa": lambda: self.root.issue(host, key="RSA"),
            "ed25519": lambda: self.root.issue(host, key="ED25519"),
        }[kind]()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: pki.py DIR NAME")
    where = Path(sys.argv[1])
    good = Authority(where / "ca").issue(sys.argv[2], until_days=3650)
    (where / "chain.pem").write_text(good.chain.read_text())
    (where / "key.pem").write_text(good.key.read_text())
