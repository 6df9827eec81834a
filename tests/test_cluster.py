import socket

import pytest

from tune_knee.cluster import start_ray


@pytest.mark.parametrize("address", ["nonsense", "ray://10.0.0.1:10001", "head:port", ":6379"])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(ValueError, match=f"must be HOST:PORT or auto, got address={address}"):
        start_ray(address)


def test_where_nothing_listens_there_is_no_cluster():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"running Ray cluster, got address={address}: .*ref"):
            start_ray(address)


def test_the_environment_names_a_cluster_too(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    with pytest.raises(ValueError, match="must be HOST:PORT or auto, got address=nonsense"):
        start_ray(None)
