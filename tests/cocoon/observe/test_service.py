"""The status socket and the metrics port of a running node."""

import socket
import stat
from functools import partial

import httpx
import pytest
import trio

from cocoon.config import NodeConfig, ObserveConfig, PathsConfig, load_config
from cocoon.errors import ConfigError
from cocoon.node import open_node
from cocoon.observe.lookout import Lookout
from cocoon.observe.metrics import CONTENT_TYPE, Metrics
from cocoon.observe.service import SOCKET_NAME, open_status_socket, read_status, serve_metrics
from overlay.errors import PeerUnavailable


@pytest.fixture
def config(tmp_path) -> NodeConfig:
    (tmp_path / "config.toml").write_text(
        f"""
        [network]
        listen_addresses = ["/ip4/127.0.0.1/tcp/0"]
        [observe]
        metrics_listen = "127.0.0.1:0"
        [paths]
        home = "{tmp_path}"
        """
    )
    return load_config(tmp_path / "config.toml", environ={})


async def test_a_running_node_is_seen_and_a_stopped_one_is_not(config) -> None:
    lookout = Lookout(config)
    assert lookout.status().role == "starting"
    async with open_node(config) as node, lookout.watch(node) as url:
        status = await read_status(config.home)
        assert (status.role, status.peer_id) == ("node", node.identity.peer_id)
        assert status.addresses == node.host.addresses
        assert status.tasks > 1
        async with httpx.AsyncClient() as client:
            answer = await client.get(url)
            missing = await client.get(url.replace("/metrics", "/"))
        assert answer.headers["content-type"] == CONTENT_TYPE
        assert "cocoon_peers_connected 0.0" in answer.text
        assert answer.text.endswith("# EOF\n")
        assert missing.status_code == 404
    assert not (config.home / SOCKET_NAME).exists()
    with pytest.raises(PeerUnavailable, match="cocoon provide"):
        await read_status(config.home)


async def test_a_peer_is_listed_while_it_is_connected(config, tmp_path) -> None:
    import msgspec

    other_home = tmp_path / "other"
    other_home.mkdir()
    async with open_node(config) as node, Lookout(config).watch(node):
        other = msgspec.structs.replace(
            config,
            paths=PathsConfig(home=str(other_home), assets=config.paths.assets),
            network=msgspec.structs.replace(config.network, bootstrap=node.host.addresses),
        )
        async with open_node(other, must_join=True) as guest:
            with trio.fail_after(10):
                while not (peers := (await read_status(config.home)).peers):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert [peer.peer_id for peer in peers] == [guest.identity.peer_id]


async def test_only_the_owner_can_connect(tmp_path) -> None:
    lookout = Lookout(NodeConfig())
    async with open_status_socket(tmp_path, lookout.status):
        mode = stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode)
        assert mode == 0o600


async def test_a_socket_left_by_a_killed_node_is_replaced(tmp_path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET_NAME))
    left.close()
    with pytest.raises(PeerUnavailable):
        await read_status(tmp_path)
    async with open_status_socket(tmp_path, Lookout(NodeConfig()).status):
        assert (await read_status(tmp_path)).role == "starting"


async def test_a_path_that_is_too_long_for_a_socket_costs_the_view_only(tmp_path, caplog) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with open_status_socket(deep, Lookout(NodeConfig()).status):
        pass
    assert "will not see this node" in caplog.text


async def test_who_connects_and_says_nothing_is_answered_all_the_same(tmp_path) -> None:
    async with open_status_socket(tmp_path, Lookout(NodeConfig()).status):
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(tmp_path / SOCKET_NAME))
            assert (await read_status(tmp_path)).role == "starting"


async def test_what_answers_with_garbage_is_no_node(tmp_path) -> None:
    async def garbage(stream: trio.SocketStream) -> None:
        await stream.send_all(b"{" * 10)
        await stream.aclose()

    bound = trio.socket.socket(socket.AF_UNIX)
    await bound.bind(str(tmp_path / SOCKET_NAME))
    bound.listen(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, garbage, [trio.SocketListener(bound)])
        with pytest.raises(PeerUnavailable, match="does not answer"):
            await read_status(tmp_path)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9464", 200),
        ("[::1]:9464", 200),
        ("page.example:9464", 421),
        ("127.0.0.1.page.example", 421),
    ],
)
async def test_a_page_whose_name_points_to_loopback_reads_no_metrics(host, status) -> None:
    metrics = Metrics(Lookout(NodeConfig()).status)
    async with trio.open_nursery() as nursery, httpx.AsyncClient() as client:
        url = await nursery.start(partial(serve_metrics, "127.0.0.1:0", metrics))
        answer = await client.get(url, headers={"Host": host})
        nursery.cancel_scope.cancel()
    assert answer.status_code == status
    assert ("cocoon_" in answer.text) == (status == 200)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999999", "127.0.0.1:x", ":"])
async def test_an_address_that_is_none_is_named(address) -> None:
    with pytest.raises((ConfigError, ExceptionGroup)) as raised:
        await serve_metrics(address, Metrics(Lookout(NodeConfig()).status))
    assert "observe.metrics_listen" in str(raised.value)


async def test_a_port_that_is_taken_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="cannot listen"):
            await serve_metrics(f"127.0.0.1:{port}", Metrics(Lookout(NodeConfig()).status))


def test_metrics_are_off_unless_asked_for() -> None:
    assert ObserveConfig().metrics_listen == ""
