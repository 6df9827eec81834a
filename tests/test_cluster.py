import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import grpc
import pytest

from tune_knee import cluster, run
from tune_knee.cluster import join_cluster


@pytest.mark.parametrize("address", ["nonsense", "ray://10.0.0.1:10001", "head:port", ":6379"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(ValueError, match=f"must be HOST:PORT or auto, got address={address}"):
        join_cluster(address)


@contextmanager
def nothing_listens() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"


def test_where_nothing_listens_there_is_no_cluster():
    with (
        nothing_listens() as address,
        pytest.raises(ValueError, match=f"running Ray cluster, got address={address}: .*ref"),
    ):
        join_cluster(address)


def test_a_wrong_address_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with nothing_listens() as address:
        assert run.main(["--address", address, "--out", "study"]) == 2
    assert "--address must be a running Ray cluster" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_a_cluster_too(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with pytest.raises(ValueError, match="must be HOST:PORT or auto, got address=nonsense"):
        join_cluster(None)


@pytest.mark.parametrize("named", [None, "local"])
def test_without_a_name_there_is_no_cluster_to_join(named, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert join_cluster(named) is None


class Head(grpc.GenericRpcHandler):
    """Answers every call, or refuses it."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    def service(self, handler_call_details):
        def answer(request, context):
            if self._refuses:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_head_is_asked_without_a_token(refuses):
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Head(refuses=refuses)])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        said = grpc.StatusCode.UNAUTHENTICATED if refuses else grpc.StatusCode.OK
        assert cluster._answer(address) == said
    finally:
        server.stop(None).wait()


@pytest.fixture
def website() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_no_head_is_told_from_one_at_once(website, monkeypatch):
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with pytest.raises(ValueError, match=f"got address={website}, where something else listens"):
        join_cluster(website)
