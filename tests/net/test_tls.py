"""Mutual TLS: who has no certificate of this fleet's authority gets no word in, and nobody speaks for another."""

import shutil
import subprocess
from pathlib import Path

import grpc
import pytest

from thinwire.bench.scripted import EndedError, ScriptedDevice
from thinwire.client.link import GrpcLink
from thinwire.common.channel import client_credentials
from thinwire.common.errors import SettingsError
from thinwire.common.settings import AgentSettings, loads
from thinwire.common.settings.shared import Tls
from thinwire.common.values import Hello, RefusalReason, Verdict, Welcome

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._issued: dict[str, Tls] = {}
        self._run("req", "-x509", "-days", "2", "-subj", "/CN=authority", *self._key("ca"), "-out", "ca.pem")

    def issue(self, name: str, *, server: bool = False) -> Tls:
        """A certificate for a device, or for a coordinator on loopback."""
        if name not in self._issued:
            self._issue(name, server)
            files = (self._folder / file for file in ("ca.pem", f"{name}.pem", f"{name}.key"))
            self._issued[name] = Tls(**dict(zip(("ca", "cert", "key"), map(str, files), strict=True)))
        return self._issued[name]

    @property
    def certificate(self) -> bytes:
        """Its own, which everyone may have."""
        return (self._folder / "ca.pem").read_bytes()

    def _issue(self, name: str, server: bool) -> None:
        usage = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth" if server else "extendedKeyUsage=clientAuth"
        (self._folder / f"{name}.ext").write_text(usage)
        self._run("req", "-new", "-subj", f"/CN={name}", *self._key(name), "-out", f"{name}.csr")
        self._run(
            "x509", "-req", "-days", "1", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
        )  # fmt: skip

    @staticmethod
    def _key(name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")

    def _run(self, *arguments: str) -> None:
        subprocess.run(("openssl", *arguments), cwd=self._folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "fleet")


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory) -> Authority:
    """Of the same name, but not the same."""
    return Authority(tmp_path_factory.mktemp("certificates") / "other")


@pytest.fixture
def secured(open_fleet, authority):
    """A coordinator with TLS; its devices have the neighbour's certificate unless they bring another."""
    sets = [f'tls.{name}="{value}"' for name, value in as_dict(authority.issue("coordinator", server=True)).items()]
    return open_fleet(*sets, credentials=client_credentials(authority.issue("neighbour")))


def as_dict(tls: Tls) -> dict[str, str]:
    return {"ca": tls.ca, "cert": tls.cert, "key": tls.key}


async def is_shut_out(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether the connection fails before a word is heard."""
    async with ScriptedDevice(address, "stranger", credentials=credentials) as device, device.dial() as stream:
        try:
            await stream.greet()
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
        except EndedError:
            return False
    return False


async def test_a_device_with_its_certificate_takes_part(secured, authority) -> None:
    own = client_credentials(authority.issue("stranger"))
    async with secured as fleet, ScriptedDevice(fleet.serving.address, "stranger", credentials=own) as device:
        stream = device.dial()
        await stream.join()
        assert (await stream.deliver(fleet.delta(1))).verdict is Verdict.ACCEPTED


async def test_a_device_of_another_authority_is_shut_out(secured, other_authority, authority) -> None:
    theirs = other_authority.issue("stranger")
    mixed = Tls(ca=authority.issue("stranger").ca, cert=theirs.cert, key=theirs.key)
    async with secured as fleet:
        assert await is_shut_out(fleet.serving.address, client_credentials(mixed))


async def test_a_device_without_a_certificate_is_shut_out(secured, authority) -> None:
    async with secured as fleet:
        assert await is_shut_out(fleet.serving.address, grpc.ssl_channel_credentials(authority.certificate))


async def test_a_device_in_plain_text_is_shut_out(secured) -> None:
    async with secured as fleet:
        assert await is_shut_out(fleet.serving.address, None)


async def test_a_coordinator_of_another_authority_is_not_spoken_to(secured, other_authority) -> None:
    async with secured as fleet:
        assert await is_shut_out(fleet.serving.address, client_credentials(other_authority.issue("stranger")))


async def test_a_coordinator_with_a_device_s_certificate_is_not_spoken_to(open_fleet, authority) -> None:
    """Or every device of the fleet could play the coordinator."""
    sets = [f'tls.{name}="{value}"' for name, value in as_dict(authority.issue("neighbour")).items()]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with open_fleet(*sets, credentials=client_credentials(authority.issue("stranger"))):
            pass
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_nobody_speaks_in_another_s_name(secured, authority) -> None:
    own = client_credentials(authority.issue("stranger"))
    async with secured as fleet, ScriptedDevice(fleet.serving.address, "neighbour", credentials=own) as device:
        stream = device.dial()
        await stream.say(Hello("neighbour"))
        refusal = (await stream.ending()).words[-1]
        assert (refusal.reason, refusal.fatal) == (RefusalReason.IDENTITY_MISMATCH, True)
        assert "'neighbour'" in refusal.message
        assert "'stranger'" in refusal.message
        assert fleet.connected("neighbour")


async def test_the_agent_s_own_link_shows_its_certificate(secured, authority) -> None:
    async with secured as fleet:
        tls = [f'tls.{name}="{value}"' for name, value in as_dict(authority.issue("stranger")).items()]
        sets = (f'coordinator.address="{fleet.serving.address}"', 'device.name="stranger"', *tls)
        link, heard = GrpcLink(loads("", AgentSettings, sets, "the test")), []

        def hear(word: object) -> None:
            heard.append(word)
            link.hang_up("enough")

        await link.talk(lambda: link.say(Hello("stranger")), hear)
        await link.close()
        assert isinstance(heard[0], Welcome)


def test_a_certificate_that_cannot_be_read_is_a_setting_s_fault() -> None:
    sets = ('device.name="a"', 'tls.ca="no-ca.pem"', 'tls.cert="no.pem"', 'tls.key="no.key"')
    with pytest.raises(SettingsError, match=r"no-ca\.pem"):
        GrpcLink(loads("", AgentSettings, sets, "the test"))
