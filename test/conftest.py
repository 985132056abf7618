"""Fixtures of all system tests: a home, next hops, certificates, a name server."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lib"))

from dnsstub import DnsStub  # noqa: E402
from letterlock import Home, build_folder  # noqa: E402
from nexthop import NextHop  # noqa: E402
from pki import Pki  # noqa: E402


def pytest_collection_modifyitems(items):
    if items and not (build_folder() / "letterlock").exists():
        pytest.exit(f"there is no {build_folder()}/letterlock: run make, or set LETTERLOCK_BUILD", 2)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def new_home(tmp_path):
    """Makes homes; those still running are stopped (and looked at for findings) after the test."""
    made = []

    def make(hostname="mx.home.example", **settings):
        home = Home(tmp_path / f"home{len(made)}", hostname,
                    {key.replace("_", ".", 1): value for key, value in settings.items()})
        made.append(home)
        return home.setup()

    yield make
    errors = []
    for home in made:
        try:
            home.stop()
        except AssertionError as e:
            errors.append(e)
    if errors:
        raise errors[0]


@pytest.fixture
def home(new_home):
    """A home that serves, without any domain or connector."""
    return new_home().serve()


@pytest.fixture
def new_hop():
    """Makes next hops that listen; they are stopped after the test."""
    made = []

    def make(*args, **kwargs):
        hop = NextHop(*args, **kwargs).start()
        made.append(hop)
        return hop

    yield make
    for hop in made:
        hop.stop()


@pytest.fixture
def dns():
    with DnsStub() as stub:
        yield stub


@pytest.fixture
def road(new_home, new_hop, pki):
    """A whole road: a home that sends everything to a next hop with a good certificate, verified.
    road.home, road.hop."""

    class Road:
        hop = new_hop(certificate=pki.certificate("good"))
        home = new_home()

    Road.home.cli("connector", "add", "hop", f"localhost:{Road.hop.port}", "--for", "*",
                  "--tls", "verify", "--trust", pki.root.pem)
    Road.home.serve()
    return Road
