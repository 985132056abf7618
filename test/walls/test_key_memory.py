"""A private key is in the memory of `keys` and nowhere else: the memory of every process is searched for
its numbers in both byte orders, its DER, and its PEM text, after it was made or imported and used."""

import base64
import os
import re
import resource
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="reads the memory of all roles: needs root")

WINDOW = 20  # bytes of a secret that no chance brings about
SHADOW = 1 << 30  # larger maps are a sanitizer's, and hold no data
PAGE = resource.getpagesize()


def numbers(pem):
    """The secret numbers of a key file, big-endian, as openssl prints them."""
    text = subprocess.run(["openssl", "pkey", "-in", pem, "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    found = re.findall(r"^(priv|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):\s*\n"
                       r"((?:    [0-9a-f:]+\n)+)", text, re.M)
    return {name: bytes.fromhex(re.sub(r"[\s:]", "", digits)).lstrip(b"\0") for name, digits in found}


def middle(secret):
    at = (len(secret) - WINDOW) // 2
    return secret[at:at + WINDOW]


def needles(name, pem):
    """What to look for: {what it is: bytes}."""
    found = {}
    for part, secret in numbers(pem).items():
        found[f"{name} {part}"] = middle(secret)
        found[f"{name} {part}, limbs"] = middle(secret[::-1])
    assert found, pem
    text = "".join(line for line in pem.read_text().splitlines() if not line.startswith("-----"))
    der = base64.b64decode(text)
    secret = next(iter(numbers(pem).values()))
    found[f"{name} DER"] = der[der.index(secret) - 6:][:WINDOW]
    # Text of the PEM that lies within the secret, whatever the length of its lines.
    at = (der.index(secret) + len(secret) // 2) * 4 // 3
    found[f"{name} PEM"] = text[at - 8:at + 8].encode()
    return found


def pages(pid, start, end):
    """Where its memory is really there: (from, to)."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as table:
        table.seek(start // PAGE * 8)
        raw = table.read((end - start) // PAGE * 8)
    begin = None
    # Runs of entries with a page (bit 63) or a place in the swap (bit 62).
    for i in range(len(raw) // 8):
        there = raw[i * 8 + 7] & 0xc0
        if there and begin is None:
            begin = i
        elif not there and begin is not None:
            yield start + begin * PAGE, start + i * PAGE
            begin = None
    if begin is not None:
        yield start + begin * PAGE, end


def memory(pid):
    """What the process has in memory of its own: (its place, bytes)."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, rights, _, _, inode, *_ = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in area.split("-"))
            of_program = inode != "0" and "w" not in rights and "memfd:" not in line
            if "r" not in rights or of_program or end - start > SHADOW or "[v" in line:
                continue
            for begin, stop in pages(pid, start, end):
                mem.seek(begin)
                yield (start, begin), mem.read(stop - begin)


def search(pid, wanted):
    """What of the secrets the process holds, and the maps they are in: {what: {start of map}}."""
    found = {}
    for (start, _), piece in memory(pid):
        for what, secret in wanted.items():
            if secret in piece:
                found.setdefault(what, set()).add(start)
    return found


def use(home):
    """Handshakes by both TLS versions, so that keys signs."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        for port in (home.smtp, home.submission):
            with smtplib.SMTP("127.0.0.1", port) as client:
                client.starttls(context=context)
                client.ehlo()


@pytest.fixture
def used(home, pki, tmp_path):
    """A home with a key of each kind, each of which has signed, and what to look for."""
    wanted = {}
    (own,) = (home.folder / "keys").iterdir()
    use(home)
    wanted.update(needles("self-signed", own))
    for kind in ("good", "rsa", "ed25519"):
        pair = pki.certificate(kind, host="mx.home.example")
        # Long enough that whoever takes it has to move it: the key comes first.
        key = tmp_path / f"{kind}.pem"
        key.write_text(pair.key.read_text() + "a remark\n" * 60000)
        home.cli("cert", "import", key, pair.chain)
        use(home)
        wanted.update(needles(f"imported {kind}", pair.key))
    home.wanted = wanted
    return home


def processes(home):
    return {"serve": home.process.pid, **home.roles()}


def locked_maps(pid):
    """Those that go to no swap ("lo") and stand in no dump ("dd")."""
    found, start = set(), None
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-", line):
            start = int(line.split("-")[0], 16)
        elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
            found.add(start)
    return found


def test_private_keys_are_in_keys_alone(used):
    pids = processes(used)
    keys = pids.pop("keys")
    found = {name: sorted(held) for name, pid in pids.items() if (held := search(pid, used.wanted))}
    assert not found
    assert len(used.children()) == len(pids), "an import worker is still there"

    held = search(keys, used.wanted)
    # The search finds what is there: the numbers of the keys, as OpenSSL holds them.
    for name in ("self-signed priv", "imported good priv", "imported rsa privateExponent",
                 "imported rsa prime1"):
        assert f"{name}, limbs" in held, held.keys()
    # The files they were read from left nothing behind, neither their text nor their DER.
    assert not [what for what in held if what.endswith(("PEM", "DER"))]
    # And what signs is in locked memory. (OpenSSL keeps copies of the primes to be quick.)
    locked = locked_maps(keys)
    assert locked
    assert not [what for what, where in held.items() if not where <= locked and " prime" not in what]


def test_no_core_is_dumped(home):
    for name, pid in processes(home).items():
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0), name
