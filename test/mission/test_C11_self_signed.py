"""C11: a fresh installation answers STARTTLS with a self-signed certificate, marked as such."""

import ssl
import subprocess

from letterlock import Refused
from smtpclient import Raw


def shown(port, implicit_tls=False):
    """The certificate that a client sees, in PEM."""
    with Raw(port, implicit_tls=implicit_tls) as client:
        client.hello()
        if not implicit_tls:
            assert client.say("STARTTLS").startswith("220")
            client.start_tls()
        return ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(binary_form=True))


def facts(pem, *wanted):
    return subprocess.run(["openssl", "x509", "-noout", *wanted], input=pem, text=True,
                          capture_output=True, check=True).stdout


def test_C11_fresh_home_answers_starttls(new_home):
    home = new_home(hostname="fresh.home.example").serve()
    pems = {shown(home.smtp), shown(home.submission), shown(home.submissions, implicit_tls=True)}
    assert len(pems) == 1
    pem = pems.pop()
    assert "fresh.home.example" in facts(pem, "-ext", "subjectAltName")
    assert facts(pem, "-subject").split("subject")[1] == facts(pem, "-issuer").split("issuer")[1]
    assert "self-signed, not for public use" in home.cli("status")
    assert "self-signed" in str(home.cli_json("status"))


def test_C11_same_certificate_after_a_restart(new_home):
    home = new_home().serve()
    before = shown(home.smtp)
    home.stop()
    home.serve()
    assert shown(home.smtp) == before


def test_C11_imported_certificate_replaces_it_live(home, pki):
    good = pki.certificate("intermediate", home.hostname)
    with Raw(home.smtp) as open_session:
        open_session.hello()
        home.cli("cert", "import", good.chain, good.key)
        assert shown(home.smtp) == good.leaf.read_text()
        assert open_session.say("NOOP").startswith("250")
    assert "self-signed, not for public use" not in home.cli("status")
    home.stop()
    home.serve()
    assert shown(home.smtp) == good.leaf.read_text()


def test_C11_a_bad_pair_is_refused_and_the_old_one_stays(home, pki, tmp_path):
    before = shown(home.smtp)
    good, other = pki.certificate("good", home.hostname), pki.certificate("rsa", home.hostname)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
    for files in ((good.chain, other.key), (good.chain,), (nonsense, good.key), (good.key,)):
        try:
            home.cli("cert", "import", *files)
        except Refused as e:
            assert e.status == 1
            assert len(e.stderr.strip()) > 20, "a reason is given"
        else:
            raise AssertionError(f"{files} was taken")
        assert shown(home.smtp) == before


def test_C11_private_key_is_for_its_owner_only(home):
    keys = list((home.folder / "keys").iterdir())
    assert keys
    assert (home.folder / "keys").stat().st_mode & 0o77 == 0
    assert all(one.stat().st_mode & 0o177 == 0 for one in keys)
